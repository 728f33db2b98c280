package io.github.kklip.faults;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.ManifestFiles;
import io.github.kklip.store.Manifests;
import io.github.kklip.store.Manifests.ConflictException;
import io.github.kklip.store.ProcessingSettings;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Split;
import io.github.kklip.store.TestDataset;
import io.github.kklip.store.publication.ConditionalCreate;
import io.github.kklip.store.publication.Digests;
import io.github.kklip.store.publication.Lease;
import io.github.kklip.store.publication.Publication;
import io.github.kklip.store.publication.Takeover;
import io.github.kklip.store.publication.VirtualHost;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.NavigableMap;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSError;
import org.apache.hadoop.fs.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Every operation of a commit fails once in every way: the commit layer alone, without Spark. One
 * commit is a data file by its content ({@link Publication#writeByContent}) and the manifest that
 * names it ({@link Manifests#commit}).
 */
class CommitFaultTest {
  private static final ProcessingSettings SETTINGS = new ProcessingSettings(new TreeMap<>());
  private static final DatasetManifest EMPTY = DatasetManifest.empty(SETTINGS);
  private static final Duration EXPIRY = Duration.ofMinutes(2);
  private static final Duration LATENCY = Duration.ofMillis(100);
  private static final List<Fault.Kind> ENDING =
      List.of(Fault.Kind.CRASH, Fault.Kind.IO_EXCEPTION, Fault.Kind.FS_ERROR, Fault.Kind.NO_SPACE);

  /** One writer that runs alone. */
  private static void write(FaultStore store, String client, int content) throws IOException {
    DatasetFolder dataset = dataset(store, client);
    DatasetManifest.Generation generation = generation(dataset, content);
    Manifests.commit(
        dataset,
        EMPTY,
        newest -> newest.generations().contains(generation) ? newest : newest.with(generation));
  }

  private static DatasetFolder dataset(FaultStore store, String client) {
    return new DatasetFolder(store.path("data"), store.configuration(client));
  }

  private static DatasetManifest.Generation generation(DatasetFolder dataset, int content)
      throws IOException {
    Path file =
        Publication.writeByContent(
            dataset.configuration(),
            dataset.file("pairs/1/train-00000.parquet"),
            ("rows of " + content).repeat(100).getBytes(StandardCharsets.UTF_8));
    String name = dataset.inside(file);
    return TestDataset.generation(
        List.of(new Shard(Split.TRAIN, 0, 1, "identity " + content, name, "")));
  }

  /** All manifests can be read, and all that they name is there and what its name says. */
  private static DatasetManifest whole(FaultStore store, String what) throws IOException {
    DatasetFolder dataset = dataset(store, "reader");
    DatasetManifest last = null;
    long expected = 1;
    for (long number : ManifestFiles.list(dataset.configuration(), dataset.root()).keySet()) {
      assertThat(number).as(what).isEqualTo(expected++);
      last = ManifestFiles.read(dataset.configuration(), dataset.root(), number);
      for (String file : last.files()) {
        assertThat(Digests.isInName(dataset.configuration(), dataset.file(file)))
            .as(what + ": " + file)
            .isTrue();
      }
    }
    return last;
  }

  /** Without what a killed writer leaves under hidden names. */
  private static NavigableMap<String, String> files(FaultStore store) {
    NavigableMap<String, String> files = store.files();
    files
        .keySet()
        .removeIf(name -> name.endsWith(Publication.SUFFIX) || name.contains("/_leases/"));
    return files;
  }

  @ParameterizedTest
  @EnumSource
  void anyFaultAtAnyOperationLeavesAWholeDatasetAndARerunTheUndisturbedBytes(FaultStore.Rule rule)
      throws IOException {
    try (FaultStore store = FaultStore.open("commit-" + rule, rule)) {
      write(store, "warm", 1);
      FaultStore.Snapshot before = store.snapshot();
      store.startCounting();
      write(store, "first", 2);
      long operations = store.operations("first");
      assertThat(operations).isGreaterThan(10);
      NavigableMap<String, String> undisturbed = files(store);
      int failed = 0;
      for (Fault.Kind kind : ENDING) {
        for (boolean done : new boolean[] {false, true}) {
          for (long k = 1; k <= operations; k++) {
            store.restore(before);
            store.startCounting();
            Fault fault = new Fault(kind, "first", k, done, Duration.ZERO);
            String what = rule + " " + fault;
            store.inject(fault);
            boolean ended = run(() -> write(store, "first", 2));
            if (kind == Fault.Kind.CRASH || kind == Fault.Kind.NO_SPACE) {
              store.restart(k);
            }
            store.startCounting();
            DatasetManifest left = whole(store, what);
            assertThat(left.number()).as(what).isBetween(1L, 2L);
            if (ended) {
              assertThat(files(store)).as(what).isEqualTo(undisturbed);
            }
            failed += ended ? 0 : 1;
            write(store, "rerun", 2);
            whole(store, what);
            assertThat(files(store)).as(what + ", rerun").isEqualTo(undisturbed);
          }
        }
      }
      assertThat(failed).isGreaterThan((int) operations);
      System.out.println(
          "commit under " + rule + ": " + operations + " operations, " + failed + " failed runs");
    }
  }

  @FunctionalInterface
  private interface Work {
    void run() throws IOException;
  }

  /** Whether it ended without an error. */
  private static boolean run(Work work) {
    try {
      work.run();
      return true;
    } catch (IOException | FSError e) {
      return false;
    }
  }

  /** Two that begin with the same manifest and have other rows. */
  private static boolean race(FaultStore store, VirtualClock clock, String client, int content)
      throws IOException {
    DatasetFolder dataset = dataset(store, client);
    Configuration configuration = dataset.configuration();
    boolean conditional = ConditionalCreate.isPossible(configuration, dataset.root());
    Takeover takeover = conditional ? Takeover.AFTER_EXPIRY : Takeover.NEVER;
    VirtualHost host = new VirtualHost(clock, client, content);
    return run(
        () -> {
          try (Lease lease =
              Lease.acquire(configuration, dataset.root(), client, EXPIRY, takeover, host)) {
            DatasetManifest base = dataset.requireManifest();
            DatasetManifest.Generation generation = generation(dataset, content);
            lease.check();
            Manifests.commit(
                dataset,
                base,
                newest -> {
                  if (!newest.equals(base)) {
                    throw new ConflictException(dataset.root(), "rows", "there are others");
                  }
                  return newest.with(generation);
                });
          }
        });
  }

  private static String race(FaultStore store, FaultStore.Snapshot before, Fault fault, long seed)
      throws Exception {
    store.restore(before);
    store.startCounting();
    VirtualClock clock = new VirtualClock();
    store.latency(clock, seed, LATENCY);
    store.inject(fault);
    List<Callable<Boolean>> writers =
        List.of(() -> race(store, clock, "a", 7), () -> race(store, clock, "b", 8));
    List<Boolean> ended = clock.run(writers);
    store.latency(FaultClock.REAL, 0, Duration.ZERO);
    store.startCounting();
    String what = store.rule() + " " + fault + " kklip.faults.seed=" + seed;
    DatasetManifest left = whole(store, what);
    int winners = (ended.get(0) ? 1 : 0) + (ended.get(1) ? 1 : 0);
    // Each commit was made by one of them, on what it had read; who has made one may fail after it.
    assertThat(left.number()).as(what).isBetween(1L, 3L);
    assertThat(left.generations()).as(what).hasSize((int) left.number());
    assertThat((long) winners).as(what).isLessThanOrEqualTo(left.number() - 1);
    return ended.toString();
  }

  @ParameterizedTest
  @EnumSource
  void ofTwoWritersOneSucceedsWhereverOneOfThemPauses(FaultStore.Rule rule) throws Exception {
    long operations;
    try (FaultStore store = FaultStore.open("race-" + rule, rule)) {
      write(store, "warm", 1);
      FaultStore.Snapshot before = store.snapshot();
      store.startCounting();
      VirtualClock clock = new VirtualClock();
      assertThat(clock.run(List.of(() -> race(store, clock, "a", 7)))).containsExactly(true);
      operations = store.operations("a");
      TreeMap<String, Integer> ends = new TreeMap<>();
      SplittableRandom random = new SplittableRandom(FaultRuns.SEED);
      for (int i = 0; i < FaultRuns.COMMIT_RACES; i++) {
        long seed = FaultRuns.SEED + i;
        long k = 1 + i % operations;
        Fault fault =
            new Fault(Fault.Kind.PAUSE, "a", k, random.nextBoolean(), EXPIRY.multipliedBy(3));
        ends.merge(race(store, before, fault, seed), 1, Integer::sum);
      }
      assertThat(ends.keySet()).contains("[true, false]", "[false, true]");
      System.out.println(
          message(rule, operations) + FaultRuns.COMMIT_RACES + " seeds of two writers: " + ends);
    }
  }

  private static String message(FaultStore.Rule rule, long operations) {
    return "race under "
        + rule
        + " of "
        + operations
        + " operations, seeds from "
        + FaultRuns.SEED
        + ": ";
  }

  /** Of any number of writers of one file, one has it, and its bytes are there. */
  @ParameterizedTest
  @EnumSource(names = {"HDFS", "S3_CONDITIONAL"})
  void ofManyConditionalCreatesOneSucceeds(FaultStore.Rule rule) throws Exception {
    try (FaultStore store = FaultStore.open("create-" + rule, rule)) {
      FaultStore.Snapshot empty = store.snapshot();
      for (int seed = 0; seed < 100; seed++) {
        store.restore(empty);
        store.startCounting();
        VirtualClock clock = new VirtualClock();
        store.latency(clock, seed, LATENCY);
        List<Callable<Boolean>> writers = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
          byte[] bytes = ("writer " + i).getBytes(StandardCharsets.UTF_8);
          Configuration configuration = store.configuration("w" + i);
          writers.add(
              () -> ConditionalCreate.create(configuration, store.path("folder/file"), bytes));
        }
        List<Boolean> created = clock.run(writers);
        assertThat(created).as("seed " + seed).containsOnlyOnce(true);
        assertThat(new String(store.read("/folder/file"), StandardCharsets.UTF_8))
            .isEqualTo("writer " + created.indexOf(true));
      }
      store.latency(FaultClock.REAL, 0, Duration.ZERO);
    }
  }

  @Test
  void aStoreThatRenamesInOneStepIsKnownByItsConfiguration() throws IOException {
    try (FaultStore store = FaultStore.open("known", FaultStore.Rule.HDFS)) {
      Configuration configuration = store.configuration("a");
      assertThat(ConditionalCreate.isPossible(configuration, store.path("x"))).isTrue();
      configuration.unset("fs.fault.kklip.atomic-rename");
      assertThat(ConditionalCreate.isPossible(configuration, store.path("x"))).isFalse();
    }
    try (FaultStore store = FaultStore.open("known", FaultStore.Rule.S3)) {
      assertThat(ConditionalCreate.isPossible(store.configuration("a"), store.path("x"))).isFalse();
    }
  }
}
