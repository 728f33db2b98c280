package io.github.kklip.launch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.LogLines;
import io.github.kklip.comms.Collective;
import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.config.TrainSettings;
import io.github.kklip.progress.Counts;
import io.github.kklip.progress.Reading;
import io.github.kklip.tasks.ShardTasks;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** On two executor processes of four cores. */
class BarrierLauncherTest {
  private static JavaSparkContext spark;

  @BeforeAll
  static void open() throws IOException {
    spark = LocalCluster.open(2, 4, Map.of("spark.ui.enabled", "true", "spark.ui.port", "0"));
    RankSlots.await(spark.sc(), 2, Duration.ofSeconds(60));
  }

  @AfterAll
  static void close() {
    spark.stop();
  }

  private static Settings settings(int ranks, String... more) {
    List<String> assignments =
        new ArrayList<>(
            List.of(
                "train.ranks=" + ranks,
                "train.rendezvous-timeout=20s",
                "train.step-timeout=20s",
                "train.restarts=0"));
    Collections.addAll(assignments, more);
    return Settings.load(List.of(), assignments);
  }

  private static <R> List<R> run(Settings settings, RankBody<R> body) {
    return new BarrierLauncher(spark, settings).run("test", line -> {}, () -> 0, body);
  }

  @Test
  void ranksInTwoProcessesSum() {
    List<String> results =
        run(
            settings(2),
            (scope, collective) ->
                scope.rank()
                    + " of "
                    + scope.ranks()
                    + " on "
                    + scope.place().device()
                    + " with "
                    + scope.place().threads()
                    + ": "
                    + collective.sum(1 + scope.rank())[0]);
    // All cores of an executor, though a task asks for one by default.
    assertThat(results).containsExactly("0 of 2 on cpu with 4: 3.0", "1 of 2 on cpu with 4: 3.0");
  }

  @Test
  void theRanksAreDifferentProcesses() {
    List<Long> processes = run(settings(2), (scope, c) -> ProcessHandle.current().pid());
    assertThat(processes).doesNotHaveDuplicates().doesNotContain(ProcessHandle.current().pid());
  }

  @Test
  void ranksListenWhereSparkIsReached() throws Exception {
    assertThat(RankTask.bindAddress("127.0.0.1").isLoopbackAddress()).isTrue();
    // A name of a gateway before the machine: on whatever address the machine has.
    assertThat(RankTask.bindAddress("192.0.2.1").isAnyLocalAddress()).isTrue();
  }

  @Test
  void ranksEncryptWhenSparkDoes() {
    SparkConf plain = new SparkConf(false);
    SparkConf careful = plain.clone().set("spark.network.crypto.enabled", "true");
    assertThat(BarrierLauncher.transportOptions(plain, settings(2).train()).encrypted()).isFalse();
    assertThat(BarrierLauncher.transportOptions(careful, settings(2).train()).encrypted()).isTrue();
    TrainSettings off = settings(2, "train.encryption=off").train();
    assertThat(BarrierLauncher.transportOptions(careful, off).encrypted()).isFalse();
    TrainSettings nccl = settings(2, "train.transport=nccl").train();
    assertThatThrownBy(() -> BarrierLauncher.transportOptions(careful, nccl))
        .hasMessageContaining(
            "Cannot use train.transport = nccl because connections are to be encrypted")
        .hasMessageContaining("Set train.encryption = off");
    assertThatThrownBy(() -> BarrierLauncher.transportOptions(plain, nccl))
        .hasMessageContaining(
            "Cannot use train.transport = nccl because Spark gives tasks no GPUs");
    TrainSettings both = settings(2, "train.transport=nccl", "train.encryption=off").train();
    careful.set("spark.task.resource.gpu.amount", "1");
    assertThat(BarrierLauncher.transportOptions(careful, both).encrypted()).isFalse();
    TrainSettings on = settings(2, "train.encryption=on", "train.transport=tcp").train();
    assertThat(BarrierLauncher.transportOptions(plain, on).encrypted()).isTrue();
    assertThat(run(settings(2, "train.encryption=on", "train.transport=tcp"), TRANSPORT))
        .containsExactly("tcp", "tcp");
    assertThat(run(settings(2), TRANSPORT)).containsExactly("shared-memory", "shared-memory");
  }

  /** Ranks get their secret by Spark's own calls: it is no more secret than they are. */
  @Test
  void encryptionOverClearCallsIsWarnedOf() {
    SparkConf clear = new SparkConf(false).setMaster("spark://host:7077");
    assertThat(warningsOf(clear, "train.encryption=on"))
        .singleElement()
        .asString()
        .contains("Spark sends the ranks the secret in the clear")
        .contains("Set spark.authenticate = true, spark.network.crypto.enabled = true");
    // Only Spark's web pages are encrypted.
    assertThat(warningsOf(clear.clone().set("spark.ssl.enabled", "true"), "train.encryption=auto"))
        .hasSize(1);
    for (String key :
        List.of(
            "spark.network.crypto.enabled",
            "spark.authenticate.enableSaslEncryption",
            "spark.ssl.rpc.enabled")) {
      assertThat(warningsOf(clear.clone().set(key, "true"), "train.encryption=on")).isEmpty();
    }
    assertThat(warningsOf(clear, "train.encryption=auto")).isEmpty();
    assertThat(warningsOf(clear, "train.encryption=off")).isEmpty();
    for (String master : List.of("local[2]", "local-cluster[2,1,1024]")) {
      assertThat(warningsOf(new SparkConf(false).setMaster(master), "train.encryption=on"))
          .isEmpty();
    }
  }

  private static List<String> warningsOf(SparkConf conf, String encryption) {
    try (LogLines log = new LogLines(BarrierLauncher.class.getName())) {
      var unused = BarrierLauncher.transportOptions(conf, settings(2, encryption).train());
      return log.lines();
    }
  }

  private static final RankBody<String> TRANSPORT =
      (scope, collective) -> {
        collective.barrier().await();
        return collective.transport();
      };

  @Test
  void oneRankNeedsNoOther() {
    assertThat(run(settings(1), (scope, collective) -> collective.size())).containsExactly(1);
  }

  @Test
  void aRankThatThrowsOnceIsStartedAgainWithTheOthers(@TempDir Path folder) {
    String marker = folder.resolve("failed").toString();
    List<Integer> attempts =
        run(
            settings(2),
            (scope, collective) -> {
              collective.barrier().await();
              if (scope.rank() == 1 && !Files.exists(Path.of(marker))) {
                Files.createFile(Path.of(marker));
                throw new IOException("no more paper");
              }
              collective.barrier().await();
              return scope.attempt();
            });
    assertThat(attempts).containsExactly(1, 1);
  }

  @Test
  void theRankThatFailsIsNamedWithItsCause(@TempDir Path folder) throws IOException {
    String tries = Files.createDirectory(folder.resolve("tries")).toString();
    assertThatThrownBy(
            () ->
                run(
                    settings(2, "train.restarts=1"),
                    (scope, collective) -> {
                      if (scope.rank() == 1) {
                        Files.createTempFile(Path.of(tries), "try", "");
                        throw new IOException("the disk is full");
                      }
                      while (true) {
                        collective.barrier().await();
                      }
                    }))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("Cannot finish test because it failed 2 times in a row")
        .hasMessageContaining("The last failure was of rank 1 on ")
        .hasMessageContaining("the disk is full");
    try (var files = Files.list(Path.of(tries))) {
      // Spark starts a stage four times, and the driver submits it twice.
      assertThat(files.count()).isEqualTo(8);
    }
  }

  @Test
  void refusedSettingsAreNotTriedAgain(@TempDir Path folder) throws IOException {
    String tries = Files.createDirectory(folder.resolve("tries")).toString();
    assertThatThrownBy(
            () ->
                run(
                    settings(2, "train.restarts=5"),
                    (scope, collective) -> {
                      Files.createTempFile(Path.of(tries), "try", "");
                      throw new SettingsException("Cannot train with socks: they are wet.");
                    }))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("Cannot train with socks: they are wet.");
    try (var files = Files.list(Path.of(tries))) {
      assertThat(files.count()).isLessThan(16);
    }
  }

  @Test
  void tooFewSlotsAreRefusedWithNumbers() {
    assertThatThrownBy(
            () -> run(settings(3, "train.rendezvous-timeout=1s"), (scope, c) -> scope.rank()))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining(
            "Cannot start 3 ranks because the cluster has room for 2 after train.rendezvous-timeout"
                + " = 1 s: 2 executors with [4, 4] cores, one rank each.");
  }

  @Test
  void reportsOfRankZeroComeToTheDriverAndToSparksPagesWhileTheRanksWork(@TempDir Path folder)
      throws Exception {
    List<String> lines = Collections.synchronizedList(new ArrayList<>());
    List<Reading> readings = Collections.synchronizedList(new ArrayList<>());
    RankProgress driver =
        new RankProgress() {
          @Override
          public void line(String line) {
            lines.add(line);
          }

          @Override
          public void at(Reading reading, double epoch) {
            readings.add(reading);
          }
        };
    String seen = folder.resolve("seen").toString();
    CompletableFuture<Void> run =
        CompletableFuture.runAsync(
            () ->
                new BarrierLauncher(spark, settings(2))
                    .run(
                        "kklip train test",
                        driver,
                        () -> 0,
                        (scope, collective) -> {
                          // Until the test has seen what it waits for.
                          for (int i = 1; !Files.exists(Path.of(seen)) && i < 600; i++) {
                            if (scope.rank() == 0) {
                              scope.progress().line("step " + i);
                              scope
                                  .progress()
                                  .at(new Reading(new Counts(i, 0, 0, 0), 600, ""), i / 8.0);
                            }
                            pause(collective);
                          }
                          return 0;
                        }));
    Pattern step = Pattern.compile("\"name\" : \"step\",\\s+\"value\" : \"\\d+\"");
    Pattern epoch = Pattern.compile("\"name\" : \"epoch\",\\s+\"value\" : \"\\d+\\.\\d\\d\"");
    long end = System.nanoTime() + Duration.ofSeconds(50).toNanos();
    String stages = "";
    while (!(step.matcher(stages).find() && epoch.matcher(stages).find()) && !run.isDone()) {
      assertThat(System.nanoTime()).as(stages).isLessThan(end);
      stages = page("stages?status=active");
    }
    assertThat(run).as(stages).isNotDone();
    assertThat(page("jobs?status=running"))
        .contains("\"description\" : \"kklip train test, 2 ranks, attempt 1\"");
    Files.createFile(Path.of(seen));
    run.get(30, TimeUnit.SECONDS);
    assertThat(lines).isNotEmpty().allSatisfy(line -> assertThat(line).matches("step \\d+"));
    assertThat(readings).isNotEmpty().allSatisfy(r -> assertThat(r.counts().done()).isPositive());
  }

  /** Of the REST interface of Spark's UI. */
  private static String page(String name) throws Exception {
    URI uri =
        URI.create(
            spark.sc().uiWebUrl().get()
                + "/api/v1/applications/"
                + spark.sc().applicationId()
                + "/"
                + name);
    return HttpClient.newHttpClient()
        .send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.ofString())
        .body();
  }

  /** A tenth of a second of work on rank 1, which rank 0 waits for. */
  private static void pause(Collective collective) {
    if (collective.rank() == 1) {
      long end = System.nanoTime() + 100_000_000;
      while (System.nanoTime() < end) {
        Thread.onSpinWait();
      }
    }
    collective.barrier().await();
  }

  @Test
  void shardTasksRunOnTheExecutorsAndKeepTheOrder() {
    List<Integer> items = IntStream.range(0, 9).boxed().toList();
    List<String> results =
        ShardTasks.run(
            spark,
            "squares",
            0,
            items,
            (item, place) -> item * item + " " + place.device() + " " + place.threads());
    assertThat(results).isEqualTo(items.stream().map(item -> item * item + " cpu 1").toList());
    assertThat(ShardTasks.run(spark, "nothing", 0, List.<Integer>of(), (i, p) -> i)).isEmpty();
    assertThat(ShardTasks.run(spark, "threads", 5, List.of(1), (i, p) -> p.threads()))
        .containsExactly(5);
  }

  @Test
  void aShardTaskThatFailsIsTriedAgainAndThenNamed(@TempDir Path folder) throws IOException {
    String tries = Files.createDirectory(folder.resolve("tries")).toString();
    assertThatThrownBy(
            () ->
                ShardTasks.run(
                    spark,
                    "the impossible",
                    0,
                    List.of(1, 2),
                    (item, place) -> {
                      if (item == 2) {
                        Files.createTempFile(Path.of(tries), "try", "");
                        throw new IOException("Cannot read shard 2: it is round.");
                      }
                      return item;
                    }))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "Cannot finish the impossible because a task failed: Cannot read shard 2: it is"
                + " round.");
    try (var files = Files.list(Path.of(tries))) {
      assertThat(files.count()).isEqualTo(4);
    }
  }
}
