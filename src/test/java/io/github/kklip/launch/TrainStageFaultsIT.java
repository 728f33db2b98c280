package io.github.kklip.launch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.config.Settings;
import io.github.kklip.ingest.IngestStage;
import io.github.kklip.tokenize.TokenizerStage;
import io.github.kklip.train.TrainResult;
import io.github.kklip.train.checkpoint.CheckpointStore;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.apache.spark.ExceptionFailure;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerTaskEnd;
import org.apache.spark.scheduler.SparkListenerTaskStart;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Training on a standalone cluster of two workers, with real faults. */
@Tag("slow")
class TrainStageFaultsIT {
  private static final int STEPS = 160;

  @TempDir private static Path folder;
  private static StandaloneCluster cluster;
  private static JavaSparkContext spark;
  private static byte[] undisturbed;

  @BeforeAll
  static void open() throws Exception {
    Map<String, String> careful =
        Map.of(
            "spark.authenticate", "true",
            "spark.authenticate.secret", UUID.randomUUID().toString(),
            "spark.network.crypto.enabled", "true",
            "spark.network.crypto.authEngineVersion", "2");
    cluster = new StandaloneCluster(folder, 2, 1, 1024, careful);
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
    careful.forEach(conf::set);
    spark = new JavaSparkContext(conf);
    assertThat(BarrierLauncher.transportOptions(conf, settings("any").train()).encrypted())
        .isTrue();
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
                "train.transport=tcp",
                "train.batch=16",
                "train.steps=" + STEPS,
                "train.warmup-steps=5",
                "train.loss.emb=0",
                "train.loss.concept=0",
                "train.log-every-steps=1",
                "train.checkpoint.every-steps=10",
                "train.checkpoint.keep=20",
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
    awaitCheckpoint(output, 1);
  }

  /** Waits until there is a whole checkpoint of that step or a later one. */
  private static void awaitCheckpoint(String output, long step) throws Exception {
    try (var watch = folder.getFileSystem().newWatchService()) {
      long end = System.nanoTime() + TimeUnit.MINUTES.toNanos(2);
      while (System.nanoTime() < end) {
        if (CheckpointStore.newestStep(
                folder.resolve(output).toString(), spark.hadoopConfiguration())
            >= step) {
          return;
        }
        var unused = watch.poll(100, TimeUnit.MILLISECONDS);
      }
    }
    throw new AssertionError("There is no checkpoint of step " + step + " in " + output + ".");
  }

  @Test
  void executorsKilledTwiceInARowDoNotChangeTheWeights() throws Exception {
    CompletableFuture<TrainResult> run = train(settings("killed"), new CompletableFuture<>());
    awaitCheckpoint("killed");
    cluster.executors(1).forEach(ProcessHandle::destroyForcibly);
    awaitCheckpoint("killed", 40);
    cluster.executors(0).forEach(ProcessHandle::destroyForcibly);
    TrainResult result = run.get(4, TimeUnit.MINUTES);
    assertThat(result.complete()).isTrue();
    assertThat(result.firstStep()).isGreaterThanOrEqualTo(40);
    // In mid-epoch: an epoch has 20 to 25 steps, and checkpoints are made every 10.
    double epochs = result.last().epoch() * result.firstStep() / STEPS;
    assertThat(epochs - Math.floor(epochs)).isBetween(0.05, 0.95);
    assertThat(weights(result)).isEqualTo(undisturbed);
  }

  /** The file of a shard goes while it is trained on, and comes back when a rank has failed. */
  @Test
  void aRankThatThrowsDoesNotChangeTheWeights() throws Exception {
    Path shard = folder.resolve("dataset").resolve("pairs").resolve("train-00002.parquet");
    Path aside = folder.resolve("aside.parquet");
    List<String> failures = new CopyOnWriteArrayList<>();
    spark
        .sc()
        .addSparkListener(
            new SparkListener() {
              @Override
              public void onTaskEnd(SparkListenerTaskEnd event) {
                if (event.reason() instanceof ExceptionFailure failure && Files.exists(aside)) {
                  failures.add(failure.description());
                  try {
                    Files.move(aside, shard);
                  } catch (IOException e) {
                    throw new java.io.UncheckedIOException(e);
                  }
                }
              }
            });
    CompletableFuture<TrainResult> run =
        train(settings("thrown", "train.prefetch=1 MiB"), new CompletableFuture<>());
    awaitCheckpoint("thrown");
    Files.move(shard, aside);
    TrainResult result = run.get(4, TimeUnit.MINUTES);
    assertThat(failures).hasSize(1);
    assertThat(failures.get(0)).contains("train-00002.parquet");
    assertThat(result.firstStep()).isPositive();
    assertThat(weights(result)).isEqualTo(undisturbed);
  }

  /** Rank 0 is stopped, for it writes, and goes on while its heirs train. */
  @Test
  void aStoppedExecutorDoesNotChangeTheWeightsAndDoesNotWriteWhenItIsContinued() throws Exception {
    AtomicReference<ProcessHandle> rankZero = new AtomicReference<>();
    spark
        .sc()
        .addSparkListener(
            new SparkListener() {
              @Override
              public void onTaskStart(SparkListenerTaskStart event) {
                if (event.taskInfo().index() == 0) {
                  rankZero.compareAndSet(null, executor(event.taskInfo().executorId()));
                }
              }
            });
    CompletableFuture<TrainResult> run = train(settings("halted"), new CompletableFuture<>());
    awaitCheckpoint("halted");
    List<ProcessHandle> halted = List.of(rankZero.get());
    for (ProcessHandle executor : halted) {
      signal("STOP", executor);
    }
    long stopped = System.currentTimeMillis();
    List<String> before = files("halted");
    try {
      awaitCheckpoint("halted", 20 + newest(before));
      for (ProcessHandle executor : halted) {
        signal("CONT", executor);
      }
      TrainResult result = run.get(4, TimeUnit.MINUTES);
      assertThat(result.complete()).isTrue();
      assertThat(result.firstStep()).isPositive();
      assertThat(weights(result)).isEqualTo(undisturbed);
    } finally {
      for (ProcessHandle executor : halted) {
        signal("CONT", executor);
      }
    }
    // What was begun when it was stopped was not finished after it, nor anything of its own begun.
    List<String> after = files("halted");
    List<Path> known = before.stream().map(file -> Path.of(file).getParent()).toList();
    for (String file : after) {
      Path path = Path.of(file);
      boolean its =
          file.contains("step-")
              ? known.contains(path.getParent())
              : file.contains("tfevents.") && started(file) < stopped;
      if (its) {
        assertThat(before).contains(file);
        assertThat(Files.getLastModifiedTime(path).toMillis()).as(file).isLessThan(stopped + 1000);
      }
    }
    List<String> markers = after.stream().filter(file -> file.endsWith("checkpoint.json")).toList();
    assertThat(markers.stream().map(file -> newest(List.of(file)))).doesNotHaveDuplicates();
    try (Stream<String> lines = Files.lines(folder.resolve("halted").resolve("metrics.jsonl"))) {
      assertThat(lines.map(line -> line.replaceAll(".*\"step\":(\\d+),.*", "$1")))
          .isEqualTo(LongStream.rangeClosed(1, STEPS).mapToObj(Long::toString).toList());
    }
    for (ProcessHandle executor : halted) {
      // Nobody wants it any more.
      executor.onExit().get(2, TimeUnit.MINUTES);
    }
  }

  /** The process of an executor, which has its number among its arguments. */
  private static ProcessHandle executor(String id) {
    return Stream.of(0, 1)
        .flatMap(worker -> cluster.executors(worker).stream())
        .filter(process -> arguments(process).contains("--executor-id\0" + id + "\0"))
        .findFirst()
        .orElse(null);
  }

  /** Whole: ProcessHandle cuts them at a page. */
  private static String arguments(ProcessHandle process) {
    try {
      return Files.readString(Path.of("/proc/" + process.pid() + "/cmdline"));
    } catch (IOException e) {
      return ""; // It has ended.
    }
  }

  private static List<String> files(String output) throws IOException {
    try (var files = Files.walk(folder.resolve(output))) {
      return files.filter(Files::isRegularFile).map(Path::toString).toList();
    }
  }

  /** When the attempt began that wrote a file of events. */
  private static long started(String file) {
    return Long.parseLong(file.replaceAll(".*tfevents\\.(\\d+)\\..*", "$1"));
  }

  private static long newest(List<String> files) {
    return files.stream()
        .filter(file -> file.endsWith("checkpoint.json"))
        .map(file -> file.replaceAll(".*step-0*(\\d+)\\..*", "$1"))
        .mapToLong(Long::parseLong)
        .max()
        .orElseThrow();
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
