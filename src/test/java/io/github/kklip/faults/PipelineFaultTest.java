package io.github.kklip.faults;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.faults.Pipeline.Stage;
import io.github.kklip.faults.Pipeline.Step;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.ManifestFiles;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.apache.logging.log4j.Level;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.core.config.Configurator;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Stages fail at operations of their store, in all ways, and are run again. After each fault:
 *
 * <ul>
 *   <li>the dataset can be read whole, and is what it was before the stage or what the stage makes;
 *   <li>a stage that ended well has made what an undisturbed one makes, and so has the run after
 *       it, which takes over the lease of the one that is gone;
 *   <li>each member of the sources is a pair, a reject or a takedown, once;
 *   <li>what was there is there, but for what an undisturbed run replaces, and no client removed or
 *       replaced what it did not write, by the store's own account: leases, what an interrupted
 *       ingest put aside, pages for people and the checkpoints of the same run excepted;
 *   <li>labels are of the centroids that the manifest names.
 * </ul>
 *
 * <p>Of two that do the same one publishes at most. The other one may end well only if it has read
 * what the first has published: then nothing was left to do.
 *
 * <p>A seed gives the stage, the fault and the order in which two writers go on. The operations of
 * a driver have the same numbers in each run; those of tasks that run side by side change places.
 * Heartbeats of leases have no number of a client.
 */
class PipelineFaultTest {
  /** Of one run, with all that is checked after it; it takes a second or two. */
  private static final Duration LIMIT = Duration.ofMinutes(2);

  @TempDir private static Path local;
  private static JavaSparkContext spark;
  private static Level logged;
  private static final Map<FaultStore.Rule, Pipeline> PIPELINES =
      new EnumMap<>(FaultStore.Rule.class);

  @BeforeAll
  static void start() {
    spark =
        new JavaSparkContext(
            new SparkConf()
                // More than the tasks of two stages: those of one that stands keep their places.
                .setMaster("local[12, 2]")
                .setAppName("faults")
                .set("spark.ui.enabled", "false")
                .set("spark.default.parallelism", "2")
                .set("spark.driver.host", "127.0.0.1")
                .set("spark.driver.bindAddress", "127.0.0.1"));
    logged = LogManager.getRootLogger().getLevel();
    Configurator.setRootLevel(FaultRuns.LOGGED);
  }

  @AfterAll
  static void stop() throws Exception {
    Configurator.setRootLevel(logged);
    PIPELINES.values().forEach(pipeline -> pipeline.store().close());
    PIPELINES.clear();
    Limit.begin(
            "Spark's end",
            () -> {
              spark.stop();
              return true;
            })
        .within(LIMIT);
  }

  private static Pipeline pipeline(FaultStore.Rule rule) throws IOException {
    Pipeline pipeline = PIPELINES.get(rule);
    if (pipeline == null) {
      pipeline = new Pipeline(FaultStore.open("pipeline-" + rule, rule), spark, local);
      PIPELINES.put(rule, pipeline);
    }
    return pipeline;
  }

  @Test
  void aSampleOfFaults() throws Exception {
    sample(FaultRuns.SAMPLE, List.of(FaultStore.Rule.HDFS));
    // Its undisturbed run alone takes as long for each further stage.
    SplittableRandom random = new SplittableRandom(FaultRuns.SEED);
    System.out.println(
        oneRun(FaultStore.Rule.S3_CONDITIONAL, Stage.INGEST, random, FaultRuns.SEED));
  }

  @Test
  @Tag("slow")
  void aLargerSampleOfFaults() throws Exception {
    sample(FaultRuns.SLOW_SAMPLE, List.of(FaultStore.Rule.values()));
  }

  private static <T> T any(List<T> all, SplittableRandom random) {
    return all.get(random.nextInt(all.size()));
  }

  private static void sample(int runs, List<FaultStore.Rule> rules) throws Exception {
    Map<String, Integer> ends = new TreeMap<>();
    List<AssertionError> violations = new ArrayList<>();
    System.out.println(runs + " runs, seeds from " + FaultRuns.SEED);
    for (int i = 0; i < runs; i++) {
      long seed = FaultRuns.SEED + i;
      SplittableRandom random = new SplittableRandom(seed);
      FaultStore.Rule rule = i % 2 == 0 ? FaultStore.Rule.HDFS : any(rules, random);
      Stage stage = any(FaultRuns.stages(), random);
      try {
        ends.merge(oneRun(rule, stage, random, seed), 1, Integer::sum);
      } catch (AssertionError e) {
        violations.add(e);
        System.out.println("  violation: " + e.getMessage().lines().findFirst().orElse(""));
      }
    }
    ends.forEach((end, count) -> System.out.println("  " + end + ": " + count));
    if (!violations.isEmpty()) {
      violations.subList(1, violations.size()).forEach(violations.get(0)::addSuppressed);
      throw new AssertionError(
          violations.size() + " of " + runs + " runs violate what holds", violations.get(0));
    }
  }

  private static String oneRun(
      FaultStore.Rule rule, Stage stage, SplittableRandom random, long seed) throws Exception {
    Pipeline pipeline = pipeline(rule);
    Step step = undisturbed(pipeline, stage);
    Fault.Kind kind = any(FaultRuns.kinds(), random);
    boolean done = random.nextBoolean();
    boolean race = random.nextInt(4) == 0 && stage != Stage.TRAIN;
    // Half of the faults are at any operation, the others at one on files of a folder, however few.
    List<String> places = List.copyOf(step.places().keySet());
    String under = random.nextBoolean() ? "" : any(places, random);
    long k = 1 + random.nextLong(step.places().getOrDefault(under, step.operations()));
    String what = stage + " under " + rule + " " + kind + " -Dkklip.faults.seed=" + seed;
    FaultRun run = new FaultRun(pipeline, stage, seed);
    return Limit.begin(
            what, () -> race ? run.race(under, k, done, random) : run.fault(kind, under, k, done))
        .within(LIMIT);
  }

  private static Step undisturbed(Pipeline pipeline, Stage stage) throws Exception {
    return Limit.begin(stage + " undisturbed", () -> pipeline.step(stage)).within(LIMIT);
  }

  @Test
  void aSourceThatCannotBeReadForAMomentIsReadAllTheSame() throws Exception {
    sources(FaultRuns.SAMPLE);
  }

  @Test
  @Tag("slow")
  void eachOperationOnTheSourcesFails() throws Exception {
    sources(Integer.MAX_VALUE);
  }

  /** Some operations on the sources fail, at even distances. */
  private static void sources(int most) throws Exception {
    Pipeline pipeline = pipeline(FaultStore.Rule.HDFS);
    Map<String, Integer> ends = new TreeMap<>();
    for (Map.Entry<String, Long> place : undisturbed(pipeline, Stage.INGEST).places().entrySet()) {
      if (place.getKey().startsWith(Pipeline.SOURCES)) {
        long step = Math.max(1, 2 * place.getValue() / most);
        for (long k = 1; k <= place.getValue(); k += step) {
          long at = k;
          FaultRun run = new FaultRun(pipeline, Stage.INGEST, FaultRuns.SEED + k);
          String what = place.getKey() + " at " + k;
          String end =
              Limit.begin(
                      what,
                      () -> run.fault(Fault.Kind.IO_EXCEPTION, place.getKey(), at, at % 2 == 0))
                  .within(LIMIT);
          ends.merge(place.getKey() + " " + end, 1, Integer::sum);
        }
      }
    }
    System.out.println(ends);
  }

  @Test
  void writersOfDifferentThingsLeaveWhatEachHasPublished() throws Exception {
    differentThings(FaultRuns.RACES, List.of(FaultStore.Rule.HDFS));
  }

  @Test
  @Tag("slow")
  void moreWritersOfDifferentThings() throws Exception {
    differentThings(FaultRuns.SLOW_RACES, List.of(FaultStore.Rule.values()));
  }

  /**
   * A tokenizer beside embeddings, of which the first stands while it commits, and two ingests of
   * different sources, of which the first stands while it writes shards.
   */
  private static void differentThings(int races, List<FaultStore.Rule> rules) throws Exception {
    Map<String, Integer> ends = new TreeMap<>();
    for (int i = 0; i < races; i++) {
      long seed = FaultRuns.SEED + i;
      SplittableRandom random = new SplittableRandom(seed);
      Pipeline pipeline = pipeline(any(rules, random));
      for (Stage stage : List.of(Stage.INGEST, Stage.TOKENIZER)) {
        String under = stage == Stage.INGEST ? "/data/pairs" : "/data/_manifests";
        boolean done = random.nextBoolean();
        long k = 1 + random.nextLong(undisturbed(pipeline, stage).places().get(under));
        FaultRun run = new FaultRun(pipeline, stage, seed);
        String end =
            Limit.begin(
                    stage + " -Dkklip.faults.seed=" + seed,
                    () ->
                        stage == Stage.INGEST
                            ? run.withMoreSources(under, k, done, random)
                            : run.beside(Stage.EMBED, under, k, done, random))
                .within(LIMIT);
        ends.merge(pipeline.store().rule() + " " + end, 1, Integer::sum);
      }
    }
    ends.forEach((end, count) -> System.out.println("  " + end + ": " + count));
  }

  /**
   * One bit of a file that the newest manifest names, or of that manifest, is another: all that
   * read it say so by the file's name, or are right all the same.
   */
  @Test
  void aFlippedBitIsFoundOrDoesNoHarm() throws Exception {
    Pipeline pipeline = pipeline(FaultStore.Rule.HDFS);
    FaultStore store = pipeline.store();
    store.restore(pipeline.step(Stage.COMPACT).before());
    store.startCounting();
    String expected = pipeline.content();
    FaultStore.Snapshot before = store.snapshot();
    DatasetFolder dataset = new DatasetFolder(store.path("data"), store.configuration("reader"));
    DatasetManifest manifest = dataset.requireManifest();
    List<String> files = new ArrayList<>(manifest.files());
    files.add(dataset.inside(ManifestFiles.file(dataset.root(), manifest.number())));
    Map<String, Integer> ends = new TreeMap<>();
    List<String> unseen = new ArrayList<>();
    System.out.println(FaultRuns.FLIPS + " flips, seeds from " + FaultRuns.SEED);
    for (int i = 0; i < FaultRuns.FLIPS; i++) {
      SplittableRandom random = new SplittableRandom(FaultRuns.SEED + i);
      String file = files.get(random.nextInt(files.size()));
      byte[] bytes = store.read("/data/" + file);
      int bit = random.nextInt(8 * bytes.length);
      bytes[bit / 8] ^= (byte) (1 << bit % 8);
      store.write("/data/" + file, bytes);
      String what = file + ", bit " + bit + " -Dkklip.faults.seed=" + (FaultRuns.SEED + i);
      String kind = file.substring(0, file.indexOf('/'));
      String end = "harmless";
      try {
        String read = Limit.begin(what, pipeline::content).within(LIMIT);
        if (!read.equals(expected)) {
          end = "SILENT";
          unseen.add("Nobody sees " + what);
        }
      } catch (IOException | RuntimeException e) {
        String name = file.substring(file.lastIndexOf('/') + 1);
        end = "found";
        if (!messages(e).contains(name)) {
          end = "found, but NOT NAMED";
          unseen.add(e + " does not name " + what);
        }
      }
      ends.merge(kind + " " + end, 1, Integer::sum);
      store.restore(before);
      store.startCounting();
      if ((i + 1) % 1000 == 0) {
        System.out.println(i + 1 + " flips, not seen or not named: " + unseen + ", " + ends);
      }
    }
    ends.forEach((end, count) -> System.out.println("  " + end + ": " + count));
    assertThat(unseen).isEmpty();
  }

  private static String messages(Throwable e) {
    return e == null ? "" : e.getMessage() + messages(e.getCause());
  }

  /** Once, for the record: hours. */
  @Test
  @Tag("slow")
  void everyOperationOfEveryStageInAllModes() throws Exception {
    if (!FaultRuns.ALL) {
      return;
    }
    Pipeline pipeline = pipeline(FaultRuns.RULE);
    int violations = 0;
    for (Stage stage : FaultRuns.stages()) {
      long operations = pipeline.step(stage).operations();
      System.out.println(stage + " under " + FaultRuns.RULE + ": " + operations + " operations");
      for (Fault.Kind kind : FaultRuns.kinds()) {
        Map<String, Integer> ends = new TreeMap<>();
        long begun = System.nanoTime();
        for (long k = 1; k <= operations; k += FaultRuns.STRIDE) {
          long at = k;
          FaultRun run = new FaultRun(pipeline, stage, FaultRuns.SEED + k);
          String end;
          try {
            end =
                Limit.begin(
                        stage + " " + kind + " " + k, () -> run.fault(kind, "", at, at % 2 == 0))
                    .within(LIMIT);
          } catch (AssertionError e) {
            end = "VIOLATION";
            violations++;
            e.printStackTrace(System.out);
          }
          ends.merge(end, 1, Integer::sum);
        }
        System.out.printf(
            "%s %s in %d s: %s%n", stage, kind, (System.nanoTime() - begun) / 1_000_000_000, ends);
      }
    }
    assertThat(violations).isZero();
  }
}
