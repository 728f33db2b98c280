package io.github.kklip.cluster;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.config.Settings;
import io.github.kklip.ingest.IngestStage;
import io.github.kklip.tokenize.TokenizerStage;
import io.github.kklip.train.TrainResult;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Training on a standalone cluster of two workers, with real faults. */
@Tag("slow")
class TrainStageFaultsIT {
  private static final int STEPS = 60;

  @TempDir private static Path folder;
  private static StandaloneCluster cluster;
  private static JavaSparkContext spark;
  private static byte[] undisturbed;

  @BeforeAll
  static void open() throws Exception {
    cluster = new StandaloneCluster(folder, 2, 1, 1024);
    SparkConf conf =
        new SparkConf()
            .setAppName("kklip test")
            .setMaster(cluster.url())
            .set("spark.executor.extraClassPath", System.getProperty("java.class.path"))
            .set("spark.executor.memory", "768m")
            .set("spark.executor.heartbeatInterval", "1s")
            .set("spark.driver.host", "127.0.0.1")
            .set("spark.driver.bindAddress", "127.0.0.1")
            .set("spark.ui.enabled", "false")
            .set("spark.barrier.sync.timeout", "60")
            .set("spark.network.timeout", "20s")
            .set("spark.network.timeoutInterval", "5s")
            .set("spark.task.reaper.enabled", "true")
            .set("spark.task.reaper.killTimeout", "20s");
    spark = new JavaSparkContext(conf);
    Settings settings = settings("undisturbed");
    IngestStage.run(spark, settings);
    TokenizerStage.run(spark, settings);
    TrainResult result = TrainStage.run(spark, settings, new CompletableFuture<>());
    assertThat(result.complete()).isTrue();
    undisturbed = weights(result);
  }

  @AfterAll
  static void close() {
    if (spark != null) {
      spark.stop();
    }
    if (cluster != null) {
      cluster.close();
    }
  }

  private static Settings settings(String output, String... more) {
    List<String> assignments =
        new ArrayList<>(
            List.of(
                "dataset=" + folder.resolve("dataset"),
                "ingest.sources=[{format=synthetic, pairs=400}]",
                "ingest.shard-rows=100",
                "tokenizer.vocab-size=600",
                "student.config=tiny",
                "train.output=" + folder.resolve(output),
                "train.ranks=2",
                "train.batch=16",
                "train.steps=" + STEPS,
                "train.warmup-steps=5",
                "train.loss.emb=0",
                "train.loss.concept=0",
                "train.log-every-steps=1",
                "train.checkpoint.every-steps=10",
                "train.rendezvous-timeout=60s",
                "train.step-timeout=60s",
                "train.heartbeat-timeout=10s"));
    assignments.addAll(Arrays.asList(more));
    return Settings.load(List.of(), assignments);
  }

  private static byte[] weights(TrainResult result) throws IOException {
    return Files.readAllBytes(Path.of(java.net.URI.create(uri(result.checkpoint()))));
  }

  private static String uri(String checkpoint) {
    return (checkpoint.startsWith("file:") ? checkpoint : "file:" + checkpoint)
        + "/model.safetensors";
  }

  /** Trains in the background. */
  private static CompletableFuture<TrainResult> train(
      Settings settings, CompletableFuture<Void> stop) {
    return CompletableFuture.supplyAsync(
        () -> {
          try {
            return TrainStage.run(spark, settings, stop);
          } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
          }
        });
  }

  /** Waits until there is a whole checkpoint. */
  private static void awaitCheckpoint(String output) throws Exception {
    try (var watch = folder.getFileSystem().newWatchService()) {
      Path run = folder.resolve(output);
      long end = System.nanoTime() + TimeUnit.MINUTES.toNanos(2);
      while (System.nanoTime() < end) {
        if (Files.isDirectory(run)) {
          try (var files = Files.walk(run)) {
            if (files.anyMatch(f -> f.getFileName().toString().equals("checkpoint.json"))) {
              return;
            }
          } catch (java.io.UncheckedIOException e) {
            continue; // A file was renamed under the walk.
          }
        }
        var unused = watch.poll(100, TimeUnit.MILLISECONDS);
      }
    }
    throw new AssertionError("There is no checkpoint in " + output + ".");
  }

  @Test
  void aKilledExecutorDoesNotChangeTheWeights() throws Exception {
    CompletableFuture<TrainResult> run = train(settings("killed"), new CompletableFuture<>());
    awaitCheckpoint("killed");
    cluster.executors(1).forEach(ProcessHandle::destroyForcibly);
    TrainResult result = run.get(4, TimeUnit.MINUTES);
    assertThat(result.complete()).isTrue();
    assertThat(result.firstStep()).isPositive();
    assertThat(weights(result)).isEqualTo(undisturbed);
  }

  @Test
  void aStoppedExecutorDoesNotChangeTheWeights() throws Exception {
    CompletableFuture<TrainResult> run = train(settings("halted"), new CompletableFuture<>());
    awaitCheckpoint("halted");
    List<ProcessHandle> halted = cluster.executors(0);
    for (ProcessHandle executor : halted) {
      signal("STOP", executor);
    }
    try {
      TrainResult result = run.get(4, TimeUnit.MINUTES);
      assertThat(result.complete()).isTrue();
      assertThat(weights(result)).isEqualTo(undisturbed);
    } finally {
      for (ProcessHandle executor : halted) {
        signal("CONT", executor);
      }
    }
  }

  private static void signal(String name, ProcessHandle process) throws Exception {
    Process kill = new ProcessBuilder("kill", "-" + name, Long.toString(process.pid())).start();
    assertThat(kill.waitFor(20, TimeUnit.SECONDS)).isTrue();
  }

  @Test
  void aRunThatWasAskedToStopGoesOnToTheSameWeights() throws Exception {
    CompletableFuture<Void> stop = new CompletableFuture<>();
    CompletableFuture<TrainResult> run = train(settings("asked"), stop);
    awaitCheckpoint("asked");
    stop.complete(null);
    TrainResult first = run.get(2, TimeUnit.MINUTES);
    assertThat(first.complete()).isFalse();
    TrainResult second =
        train(settings("asked"), new CompletableFuture<>()).get(4, TimeUnit.MINUTES);
    assertThat(second.complete()).isTrue();
    assertThat(second.firstStep()).isEqualTo(first.last().step());
    assertThat(weights(second)).isEqualTo(undisturbed);
  }

  @Test
  void twoJobsDoNotTrainIntoOneFolder() throws Exception {
    CompletableFuture<Void> stop = new CompletableFuture<>();
    CompletableFuture<TrainResult> run = train(settings("leased"), stop);
    awaitCheckpoint("leased");
    assertThatThrownBy(() -> TrainStage.run(spark, settings("leased"), new CompletableFuture<>()))
        .hasMessageContaining("train");
    stop.complete(null);
    run.get(2, TimeUnit.MINUTES);
  }
}
