package io.github.kklip.train;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.train.checkpoint.Checkpoint;
import io.github.kklip.train.checkpoint.CheckpointStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A process that is killed while it writes a checkpoint. */
@Tag("slow")
class TornCheckpointIT {
  @TempDir private Path folder;

  @Test
  void aRunThatWasKilledWhileItWroteGoesOnFromTheCheckpointBefore() throws Exception {
    // 150 MB of weights and moments, so that writing takes a while.
    Path student =
        Files.writeString(
            folder.resolve("wide.json"),
            """
            {"model_type": "clip", "projection_dim": 192,
             "text_config": {"vocab_size": 555, "max_position_embeddings": 12, "hidden_size": 256,
               "intermediate_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 4,
               "bos_token_id": 553, "eos_token_id": 554, "pad_token_id": 554},
             "vision_config": {"image_size": 64, "patch_size": 16, "hidden_size": 256,
               "intermediate_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 4}}
            """);
    TinyDataset data = TinyDataset.pairs(folder.resolve("data"), 60);
    String[] settings = {
      "student.config=" + student,
      "train.steps=40",
      "train.batch=4",
      "train.checkpoint.every-steps=5",
      "train.checkpoint.keep=2",
      "train.loss.emb=0",
      "train.loss.concept=0"
    };
    TinyDataset.train(data.plan(folder.resolve("straight"), settings), 1);

    Path run = folder.resolve("killed");
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path"),
                TrainProcess.class.getName(),
                folder.resolve("data").toString(),
                run.toString()));
    command.addAll(List.of(settings));
    Path log = folder.resolve("log");
    Process process =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
    Path checkpoints = run.resolve(CheckpointStore.FOLDER);
    long end = System.nanoTime() + TimeUnit.MINUTES.toNanos(2);
    // A whole one, and one after it whose largest file has been begun.
    while (whole(checkpoints).isEmpty() || begun(checkpoints).isEmpty()) {
      assertThat(process.isAlive()).as(() -> read(log)).isTrue();
      assertThat(System.nanoTime()).isLessThan(end);
    }
    process.destroyForcibly().waitFor();
    List<Path> torn = begun(checkpoints);
    assertThat(torn).as("what the kill left").hasSize(1);
    assertThat(torn.get(0).resolve(Checkpoint.OPTIMIZER)).exists();
    long before = step(whole(checkpoints).get(whole(checkpoints).size() - 1));
    assertThat(step(torn.get(0))).isGreaterThan(before);

    TrainResult result = TinyDataset.train(data.plan(run, settings), 1);
    assertThat(result.firstStep()).isEqualTo(before);
    assertThat(model(run)).isEqualTo(model(folder.resolve("straight")));
    assertThat(begun(checkpoints)).as("torn ones are removed with the old ones").isEmpty();
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (java.io.IOException e) {
      return e.toString();
    }
  }

  private static byte[] model(Path run) throws Exception {
    try (Checkpoint checkpoint =
        CheckpointStore.newest(run.toString(), TinyDataset.CONFIGURATION)) {
      return Files.readAllBytes(checkpoint.folder().resolve(Checkpoint.MODEL));
    }
  }

  private static long step(Path checkpoint) {
    return Long.parseLong(checkpoint.getFileName().toString().replaceAll("step-(\\d+)\\..*", "$1"));
  }

  private static List<Path> whole(Path checkpoints) throws Exception {
    return folders(checkpoints).stream()
        .filter(c -> Files.exists(c.resolve(CheckpointStore.MARKER)))
        .toList();
  }

  private static List<Path> begun(Path checkpoints) throws Exception {
    return folders(checkpoints).stream()
        .filter(c -> !Files.exists(c.resolve(CheckpointStore.MARKER)))
        .filter(c -> Files.exists(c.resolve(Checkpoint.OPTIMIZER)))
        .toList();
  }

  private static List<Path> folders(Path checkpoints) throws Exception {
    if (!Files.exists(checkpoints)) {
      return List.of();
    }
    try (Stream<Path> found = Files.list(checkpoints)) {
      return found.sorted().toList();
    }
  }
}
