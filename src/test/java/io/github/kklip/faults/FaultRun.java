package io.github.kklip.faults;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.faults.Pipeline.Result;
import io.github.kklip.faults.Pipeline.Stage;
import io.github.kklip.faults.Pipeline.Step;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.Identity;
import io.github.kklip.store.ManifestFiles;
import io.github.kklip.store.publication.LeaseHeldException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import org.apache.hadoop.fs.FSError;

/** One stage to which something happens, and all that has to hold after it. */
final class FaultRun {
  private static final Duration LIMIT = Duration.ofMinutes(1);
  private static final String LEASES = "/_leases/";

  /** No process has it. */
  private static final String DEAD_PROCESS = "99999999";

  /** What states are that faults have left, which need not be run again each time. */
  private static final Map<String, Result> KNOWN = new ConcurrentHashMap<>();

  private static int clients;

  private final Pipeline pipeline;
  private final FaultStore store;
  private final Stage stage;
  private final Step step;
  private final long seed;
  private String what;

  FaultRun(Pipeline pipeline, Stage stage, long seed) throws IOException {
    this.pipeline = pipeline;
    this.store = pipeline.store();
    this.stage = stage;
    this.step = pipeline.step(stage);
    this.seed = seed;
  }

  private static synchronized String client() {
    return "client-" + ++clients;
  }

  /**
   * The stage with a fault at its k-th operation on files under a folder.
   *
   * @param under the folder; empty: all operations are counted
   * @return how it ended
   */
  String fault(Fault.Kind kind, String under, long k, boolean done) throws Exception {
    String client = client();
    boolean pauses = kind == Fault.Kind.PAUSE;
    Duration expiry = pauses ? Pipeline.SHORT_EXPIRY : Pipeline.EXPIRY;
    Duration pause = pauses ? expiry.multipliedBy(1 + seed % 3) : Duration.ZERO;
    begin(new Fault(kind, client, under, k, done, pause));
    boolean ended = run(stage, client, expiry);
    what += " at " + store.struck();
    onlyOwnFilesWent();
    after(List.of(ended), client);
    return kind + (ended ? " survived" : " failed");
  }

  /** Who goes on first when both writers stand. */
  private enum Order {
    FIRST,
    SECOND,
    BOTH
  }

  /** What happens when the first of two writers stands. */
  @FunctionalInterface
  private interface Meanwhile {
    void run() throws IOException;
  }

  /**
   * How two writers ended.
   *
   * @param clients their names
   * @param before number of the newest manifest before them
   */
  private record Ends(List<String> clients, boolean first, boolean second, long before) {
    boolean both() {
      return first && second;
    }

    @Override
    public String toString() {
      return (first ? "ok " : "failed ") + (second ? "ok" : "failed");
    }
  }

  /**
   * Two run the stage: one stands from its k-th operation under a folder on until the other, which
   * finds its lease expired, has come to any operation of its own.
   *
   * @return how both ended
   */
  String race(String under, long k, boolean done, SplittableRandom random) throws Exception {
    Ends ends = overlap(stage, under, k, done, random, () -> {});
    onePublished(ends);
    onlyOwnFilesWent();
    after(List.of(ends.first(), ends.second()), ends.clients().toArray(String[]::new));
    return "race " + ends;
  }

  /**
   * The next stage runs beside this one and commits another part of the dataset: what each of them
   * has committed stays.
   *
   * @param next the stage after this one, which does not need it
   * @return how both ended
   */
  String beside(Stage next, String under, long k, boolean done, SplittableRandom random)
      throws Exception {
    Result expected = pipeline.step(next).after();
    Ends ends = overlap(next, under, k, done, random, () -> {});
    long commits = commits() - ends.before();
    onlyOwnFilesWent();
    settle(ends.clients());
    Result left = whole("");
    assertThat(commits)
        .as(what + ", commits of stages that ended so: " + ends)
        .isBetween((ends.first() ? 1L : 0L) + (ends.second() ? 1L : 0L), 2L);
    if (ends.both()) {
      assertThat(left).as(what + ", both ended well").isEqualTo(expected);
    } else if (ends.first()) {
      assertThat(left).as(what + ", ended well").isIn(step.after(), expected);
    }
    keeps(step.stays());
    runAgain(stage);
    runAgain(next);
    assertThat(whole(", run again")).as(what + ", run again").isEqualTo(expected);
    onlyOwnFilesWent();
    return stage + " beside " + next + " " + ends;
  }

  /**
   * Two ingests of different sources: more of them come while the first one stands.
   *
   * @return how both ended
   */
  String withMoreSources(String under, long k, boolean done, SplittableRandom random)
      throws Exception {
    Result atOnce = pipeline.ingestedAtOnce();
    Result oneByOne = pipeline.step(Stage.INGEST_AGAIN).after();
    Ends ends = overlap(stage, under, k, done, random, pipeline::moreSources);
    onlyOwnFilesWent();
    settle(ends.clients());
    Result left = whole("");
    if (ends.both()) {
      assertThat(left).as(what + ", both ended well").isEqualTo(oneByOne);
    } else if (ends.second()) {
      assertThat(left).as(what + ", the second one ended well").isIn(atOnce, oneByOne);
    } else if (ends.first()) {
      assertThat(left).as(what + ", the first one ended well").isIn(step.after(), oneByOne);
    } else {
      assertThat(left).as(what).isIn(step.left(), step.after(), atOnce, oneByOne);
    }
    keeps(step.stays());
    runAgain(stage);
    // Where neither has published, this run reads all sources at once.
    boolean firstIsThere = left.equals(step.after()) || left.equals(oneByOne);
    assertThat(whole(", run again"))
        .as(what + ", run again")
        .isEqualTo(firstIsThere ? oneByOne : atOnce);
    onlyOwnFilesWent();
    return stage + " with more sources " + ends;
  }

  /** Runs the stage until it stands, and another one, or the same as another job, beside it. */
  private Ends overlap(
      Stage other, String under, long k, boolean done, SplittableRandom random, Meanwhile meanwhile)
      throws Exception {
    String first = client();
    String second = client();
    long operations = pipeline.step(other).operations();
    long at = 1 + random.nextLong(operations + operations / 4 + 1);
    Order order = Order.values()[random.nextInt(Order.values().length)];
    begin(new Fault(Fault.Kind.PAUSE, first, under, k, done, Duration.ZERO));
    store.inject(new Fault(Fault.Kind.PAUSE, second, at, random.nextBoolean(), Duration.ZERO));
    what += ", " + other + " stands from its operation " + at + " on, goes on first: " + order;
    long before = commits();
    // Of one part of the dataset the second writer takes the lease over.
    Duration expiry = other == stage ? Pipeline.SHORT_EXPIRY : Pipeline.EXPIRY;
    Limit<Boolean> one = Limit.begin(first, () -> run(stage, first, expiry));
    if (store.awaitPause(first, LIMIT) && other == stage) {
      changeClaims("processes", "\"another machine\"");
    }
    what += ", at " + store.struck();
    meanwhile.run();
    Limit<Boolean> two = Limit.begin(second, () -> run(other, second, Pipeline.EXPIRY));
    store.awaitPause(second, LIMIT);
    boolean firstEnded;
    boolean secondEnded;
    NavigableMap<String, String> published = new TreeMap<>();
    if (order == Order.SECOND) {
      store.release(second);
      secondEnded = two.within(LIMIT);
      published = secondEnded ? named() : published;
      store.release(first);
      firstEnded = one.within(LIMIT);
    } else {
      store.release(first);
      if (order == Order.BOTH) {
        store.release(second);
      }
      firstEnded = one.within(LIMIT);
      published = firstEnded && order == Order.FIRST ? named() : published;
      store.release(second);
      secondEnded = two.within(LIMIT);
    }
    keeps(published);
    return new Ends(List.of(first, second), firstEnded, secondEnded, before);
  }

  /** What the newest manifest names, and that manifest. */
  private NavigableMap<String, String> named() throws IOException {
    DatasetFolder dataset = dataset();
    DatasetManifest manifest = dataset.requireManifest();
    NavigableMap<String, String> files = store.files();
    Set<String> names =
        manifest.files().stream().map(file -> "/data/" + file).collect(Collectors.toSet());
    names.add(ManifestFiles.file(dataset.root(), manifest.number()).toUri().getPath());
    files.keySet().retainAll(names);
    return files;
  }

  private DatasetFolder dataset() {
    return new DatasetFolder(store.path("data"), store.configuration("reader"));
  }

  private void begin(Fault fault) {
    store.restore(step.before());
    store.startCounting();
    store.inject(fault);
    what = stage + " under " + store.rule() + ", " + fault + " -Dkklip.faults.seed=" + seed;
  }

  /** Whether a stage ended without an error. */
  private boolean run(Stage some, String client, Duration expiry) {
    try {
      pipeline.run(some, client, expiry);
      return true;
    } catch (Exception | FSError e) {
      return false;
    } finally {
      store.end(client);
    }
  }

  private long commits() throws IOException {
    DatasetFolder dataset = dataset();
    return ManifestFiles.newestNumber(dataset.configuration(), dataset.root());
  }

  private void onePublished(Ends ends) throws IOException {
    long after = commits();
    assertThat(after - ends.before()).as(what + ", commits").isBetween(0L, 1L);
    if (ends.both() && stage != Stage.CLEAN) {
      List<String> writers = ends.clients();
      assertThat(after).as(what + ", both ended well").isEqualTo(ends.before() + 1);
      String manifest = ManifestFiles.file(store.path("data"), after).toUri().getPath();
      String publisher = store.author(manifest);
      assertThat(writers).as(what).contains(publisher);
      assertThat(store.log())
          .as(what + ", the other one has read what " + publisher + " has published")
          .anyMatch(
              event ->
                  event.operation() == Operation.OPEN
                      && event.done()
                      && event.path().equals(manifest)
                      && writers.contains(event.client())
                      && !event.client().equals(publisher));
    }
  }

  /** All processes are gone, and what was not synced is lost. */
  private void settle(List<String> gone) {
    store.restart(seed);
    // Tasks of the stage that still run belong to a process that is gone.
    gone.forEach(store::kill);
    boolean watched = seed % 4 == 0;
    changeClaims("pid", DEAD_PROCESS);
    if (watched) {
      changeClaims("processes", "\"another machine\"");
      changeClaims("expiry", Long.toString(Pipeline.SHORT_EXPIRY.toMillis()));
    }
  }

  private void after(List<Boolean> ended, String... gone) throws Exception {
    settle(List.of(gone));
    String state = stage + " " + store.rule() + " " + state();
    Result left = FaultRuns.ALL ? KNOWN.get(state) : null;
    boolean known = left != null;
    if (!known) {
      left = whole("");
    }
    if (ended.contains(true)) {
      assertThat(left).as(what + ", ended well").isEqualTo(step.after());
    }
    if (!known) {
      beforeOrAfter(left);
      keeps(step.stays());
      NavigableMap<String, String> between = store.files();
      store.startCounting();
      runAgain(stage);
      assertThat(whole(", run again")).as(what + ", run again").isEqualTo(step.after());
      onlyOwnFilesWent();
      keeps(step.stays());
      if (stage != Stage.TRAIN && stage != Stage.CLEAN) {
        between.keySet().removeIf(FaultRun::isPassing);
        keeps(between);
      }
      KNOWN.put(state, left);
    }
  }

  /** The stage made all that it makes, or nothing that a reader sees. */
  private void beforeOrAfter(Result left) {
    if (stage == Stage.TRAIN) {
      assertThat(left.manifest()).as(what).isEqualTo(step.after().manifest());
      assertThat(left.members()).as(what).isEqualTo(step.after().members());
    } else {
      assertThat(left).as(what).isIn(step.left(), step.after());
    }
  }

  private Result whole(String when) {
    try {
      return pipeline.result();
    } catch (IOException | RuntimeException e) {
      throw new AssertionError(what + when + " left what cannot be read", e);
    }
  }

  /** A store whose writes cannot exclude each other wants a person to say that the job is gone. */
  private void runAgain(Stage some) {
    try {
      runOnceMore(some);
    } catch (Exception | FSError e) {
      throw new AssertionError(what + ": " + some + " cannot be run again", e);
    }
  }

  private void runOnceMore(Stage some) throws IOException {
    try {
      pipeline.run(some, client());
    } catch (LeaseHeldException e) {
      List<String> claims = claims();
      assertThat(store.rule()).as(what + ": " + e).isEqualTo(FaultStore.Rule.S3);
      assertThat(claims).as(what).anyMatch(claim -> e.getMessage().contains(claim));
      for (String claim : claims) {
        store.remove(claim);
      }
      pipeline.run(some, client());
    }
  }

  /** What was there is there, byte for byte. */
  private void keeps(NavigableMap<String, String> before) {
    NavigableMap<String, String> now = store.files();
    before.forEach(
        (file, digest) -> assertThat(now.get(file)).as(what + ": " + file).isEqualTo(digest));
  }

  /** What a run puts aside, and pages for people. */
  private static boolean isPassing(String file) {
    return file.contains(LEASES) || file.contains("/_work/") || file.endsWith(".html");
  }

  /** No client has removed or replaced what it did not write, but for what this class exempts. */
  private void onlyOwnFilesWent() {
    for (Removal removal : store.removals()) {
      String path = removal.path();
      boolean own = removal.author().equals(removal.client()) || removal.same();
      boolean ofTheRun =
          stage == Stage.TRAIN && path.startsWith("/run/") && !removal.author().isEmpty();
      boolean orphan = stage == Stage.CLEAN && !step.stays().containsKey(path);
      if (!own && !isPassing(path) && !ofTheRun && !orphan) {
        throw new AssertionError(what + ": " + removal);
      }
    }
  }

  private List<String> claims() {
    return store.files().keySet().stream().filter(file -> file.contains(LEASES)).toList();
  }

  /** Makes the claims to leases those of another process. */
  private void changeClaims(String field, String value) {
    for (String file : claims()) {
      String claim = new String(store.read(file), StandardCharsets.UTF_8);
      String changed =
          claim.replaceAll("(\"" + field + "\"\\s*:\\s*)(\"[^\"]*\"|\\d+)", "$1" + value);
      store.write(file, changed.getBytes(StandardCharsets.UTF_8));
    }
  }

  /** Files and contents, but for leases and random parts of names. */
  private String state() {
    StringBuilder state = new StringBuilder();
    store
        .files()
        .forEach(
            (file, digest) -> {
              if (!file.contains(LEASES)) {
                state.append(file.replaceAll("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", ""));
                state.append(' ').append(digest).append('\n');
              }
            });
    return Identity.ofBytes(state.toString().getBytes(StandardCharsets.UTF_8));
  }
}
