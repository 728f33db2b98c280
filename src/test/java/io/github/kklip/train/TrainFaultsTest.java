package io.github.kklip.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.assertj.core.api.Assumptions.assumeThat;

import io.github.kklip.comms.SoloCollective;
import io.github.kklip.store.S3Server;
import io.github.kklip.train.checkpoint.Checkpoint;
import io.github.kklip.train.checkpoint.CheckpointStore;
import io.github.kklip.train.checkpoint.CheckpointStoreTest;
import io.github.kklip.train.checkpoint.CheckpointStoreTest.FullDisk;
import io.github.kklip.train.checkpoint.CheckpointStoreTest.VolatileDisk;
import io.github.kklip.train.metrics.MetricsLog;
import io.github.kklip.train.plan.TrainPlan;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.assertj.core.api.ThrowableAssert;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Storage that fails under a run, and storage that is an object store. */
class TrainFaultsTest {
  private static final String[] SETTINGS = {
    "train.steps=12", "train.checkpoint.every-steps=3", "train.checkpoint.keep=9"
  };

  @TempDir private Path temporary;

  private static boolean mount(String... options) throws Exception {
    Process mount =
        new ProcessBuilder(
                Stream.concat(Stream.of("mount", "-t", "tmpfs", "-o"), Stream.of(options)).toList())
            .redirectErrorStream(true)
            .start();
    assertThat(mount.waitFor(20, TimeUnit.SECONDS)).isTrue();
    return mount.exitValue() == 0;
  }

  /** Folders of checkpoints without a marker. */
  private static List<Path> unfinished(Path run) throws IOException {
    try (Stream<Path> folders = Files.list(run.resolve(CheckpointStore.FOLDER))) {
      return folders
          .filter(folder -> !Files.exists(folder.resolve(CheckpointStore.MARKER)))
          .toList();
    }
  }

  @Test
  void aLossOfPowerAndAFullDiskEndInTheSameWeights() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 40);
    String[] settings = {
      "train.steps=12", "train.checkpoint.every-steps=3", "train.checkpoint.keep=1"
    };
    TinyDataset.train(data.plan(temporary.resolve("straight"), settings), 1);

    Path dark = temporary.resolve("dark");
    TrainPlan plan = data.plan(dark, settings);
    AtomicInteger asked = new AtomicInteger();
    train(plan, CheckpointStoreTest.disk(VolatileDisk.class), () -> asked.incrementAndGet() == 7);
    VolatileDisk.losePower(dark);
    TrainResult result = TinyDataset.train(plan, 1);
    assertThat(result.firstStep()).isEqualTo(7);
    assertThat(model(dark)).isEqualTo(model(temporary.resolve("straight")));

    Path full = temporary.resolve("full");
    TrainPlan other = data.plan(full, settings);
    Configuration disk = CheckpointStoreTest.disk(FullDisk.class);
    asked.set(0);
    train(other, disk, () -> asked.incrementAndGet() == 4);
    FullDisk.full = true;
    try {
      assertThat(messages(() -> train(other, disk, () -> false)))
          .contains(
              "Cannot write the checkpoint because of this: java.io.IOException: No space left on"
                  + " device. Check train.output and its space.");
    } finally {
      FullDisk.full = false;
    }
    assertThat(unfinished(full)).isEmpty();
    assertThat(TinyDataset.train(other, 1).firstStep()).isEqualTo(4);
    assertThat(model(full)).isEqualTo(model(temporary.resolve("straight")));
  }

  /** On a real file system of memory, where the test may mount one. */
  @Test
  void aFullTargetAndOneThatCannotBeWrittenEndTheRunWithTheReason() throws Exception {
    Path small = Files.createDirectory(temporary.resolve("small"));
    assumeThat(mount("size=1200k", "tmpfs", small.toString())).isTrue();
    try {
      TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 40);
      TinyDataset.train(data.plan(temporary.resolve("straight"), SETTINGS), 1);
      Path run = small.resolve("run");
      TrainPlan plan = data.plan(run, SETTINGS);
      for (int attempt = 0; attempt < 2; attempt++) {
        assertThat(messages(() -> TinyDataset.train(plan, 1)))
            .anyMatch(
                message ->
                    message.matches(
                        "Cannot write the (checkpoint|metrics) because of this: .*No space left on"
                            + " device.*\\. Check train\\.output and its space\\."));
        assertThat(unfinished(run)).isEmpty();
      }
      assertThat(CheckpointStore.newestStep(run.toString(), TinyDataset.CONFIGURATION))
          .isBetween(3L, 9L);

      assertThat(mount("remount,size=16m", "tmpfs", small.toString())).isTrue();
      TrainResult result = TinyDataset.train(plan, 1);
      assertThat(result.firstStep()).isBetween(3L, 9L);
      assertThat(model(run)).isEqualTo(model(temporary.resolve("straight")));

      assertThat(mount("remount,ro", "tmpfs", small.toString())).isTrue();
      TrainPlan other = data.plan(small.resolve("other"), SETTINGS);
      assertThat(messages(() -> TinyDataset.train(other, 1)))
          .anyMatch(
              message ->
                  message.startsWith("Cannot write the checkpoint because of this: ")
                      && message.contains("Cannot make the folder file:" + small.resolve("other"))
                      && message.endsWith(". Check train.output and its space."));
    } finally {
      assertThat(new ProcessBuilder("umount", small.toString()).start().waitFor()).isZero();
    }
  }

  /** Of a failure and its causes. */
  private static List<String> messages(ThrowableAssert.ThrowingCallable failing) {
    List<String> messages = new ArrayList<>();
    for (Throwable e = catchThrowable(failing); e != null; e = e.getCause()) {
      messages.add(String.valueOf(e.getMessage()));
    }
    return messages;
  }

  private static byte[] model(Path run) throws IOException {
    try (Checkpoint checkpoint =
        CheckpointStore.newest(run.toString(), TinyDataset.CONFIGURATION)) {
      return Files.readAllBytes(checkpoint.folder().resolve(Checkpoint.MODEL));
    }
  }

  @Test
  void aShardThatGoesInMidRunIsNamed() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 70, 70, 70);
    TrainPlan plan =
        data.plan(temporary.resolve("run"), "train.steps=5000", "train.prefetch=1 MiB");
    AtomicInteger step = new AtomicInteger();
    assertThatThrownBy(
            () ->
                TinyDataset.train(
                    plan,
                    new SoloCollective(),
                    () -> {
                      if (step.incrementAndGet() == 30) {
                        delete(data.pairsOf(1));
                      }
                      return false;
                    }))
        .hasMessageContaining("Cannot load the batch of step")
        .hasMessageContaining("train-00001-");
    assertThat(step.get()).isGreaterThanOrEqualTo(30);
  }

  private static void delete(Path file) {
    try {
      Files.delete(file);
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  @Test
  void checkpointsOnAnObjectStoreServeAndRetire() throws Exception {
    try (S3Server server = new S3Server(temporary.resolve("objects"))) {
      TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 40);
      TinyDataset.train(data.plan(temporary.resolve("straight"), SETTINGS), 1);
      Configuration configuration = server.configuration();
      TrainPlan plan =
          data.plan(
              temporary.resolve("unused"),
              "train.steps=12",
              "train.checkpoint.every-steps=3",
              "train.checkpoint.keep=2",
              "train.output=" + server.url("run"));
      AtomicInteger asked = new AtomicInteger();
      TrainResult stopped = train(plan, configuration, () -> asked.incrementAndGet() == 7);
      assertThat(stopped.complete()).isFalse();
      // What a kill in mid-write leaves: no marker.
      Path torn = server.file("run/checkpoints/step-000000011.0123abcd/" + Checkpoint.MODEL);
      Files.createDirectories(torn.getParent());
      Files.write(torn, new byte[100]);
      TrainResult resumed = train(plan, configuration, () -> false);
      assertThat(resumed.firstStep()).isEqualTo(7);
      assertThat(resumed.complete()).isTrue();
      try (Checkpoint checkpoint = CheckpointStore.newest(server.url("run"), configuration)) {
        assertThat(Files.readAllBytes(checkpoint.folder().resolve(Checkpoint.MODEL)))
            .isEqualTo(model(temporary.resolve("straight")));
      }
      assertThat(server.keys().stream().filter(key -> key.endsWith(CheckpointStore.MARKER)))
          .hasSize(2)
          .allMatch(key -> key.contains("step-000000009") || key.contains("step-000000012"));
      assertThat(server.keys()).contains("run/" + MetricsLog.FILE);
    }
  }

  private static TrainResult train(
      TrainPlan plan, Configuration configuration, java.util.function.BooleanSupplier stop)
      throws IOException {
    return Trainer.run(
        plan,
        new Rank(new SoloCollective(), ai.djl.Device.cpu(), 1),
        configuration,
        TrainProgress.SILENT,
        stop);
  }
}
