package io.github.kklip.faults;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.faults.Pipeline.Result;
import io.github.kklip.faults.Pipeline.Stage;
import io.github.kklip.faults.Pipeline.Step;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.Identity;
import io.github.kklip.store.ManifestFiles;
import io.github.kklip.store.publication.LeaseHeldException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentHashMap;
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
   * The stage with a fault at its operation k.
   *
   * @return how it ended
   */
  String fault(Fault.Kind kind, long k, boolean done) throws Exception {
    String client = client();
    boolean pauses = kind == Fault.Kind.PAUSE;
    Duration expiry = pauses ? Pipeline.SHORT_EXPIRY : Pipeline.EXPIRY;
    Duration pause = pauses ? expiry.multipliedBy(1 + seed % 3) : Duration.ZERO;
    begin(new Fault(kind, client, k, done, pause));
    boolean ended = run(client, expiry);
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

  /**
   * Two run the stage: one stands from its operation k on until the other, which finds its lease
   * expired, has come to any operation of its own.
   *
   * @return how both ended
   */
  String race(long k, boolean done, SplittableRandom random) throws Exception {
    String first = client();
    String second = client();
    long other = 1 + random.nextLong(step.operations() + step.operations() / 4 + 1);
    Order order = Order.values()[random.nextInt(Order.values().length)];
    begin(new Fault(Fault.Kind.PAUSE, first, k, done, Duration.ZERO));
    store.inject(new Fault(Fault.Kind.PAUSE, second, other, random.nextBoolean(), Duration.ZERO));
    what += ", the second one stands from its operation " + other + " on, goes on first: " + order;
    long commits = commits();
    Limit<Boolean> one = Limit.begin(first, () -> run(first, Pipeline.SHORT_EXPIRY));
    if (!store.awaitPause(first, LIMIT)) {
      boolean ended = one.within(LIMIT);
      after(List.of(ended), first);
      return "race without a pause";
    }
    changeClaims("processes", "\"another machine\"");
    Limit<Boolean> two = Limit.begin(second, () -> run(second, Pipeline.EXPIRY));
    store.awaitPause(second, LIMIT);
    boolean firstEnded;
    boolean secondEnded;
    if (order == Order.SECOND) {
      store.release(second);
      secondEnded = two.within(LIMIT);
      store.release(first);
      firstEnded = one.within(LIMIT);
    } else {
      store.release(first);
      if (order == Order.BOTH) {
        store.release(second);
      }
      firstEnded = one.within(LIMIT);
      store.release(second);
      secondEnded = two.within(LIMIT);
    }
    onePublished(commits, List.of(first, second), firstEnded && secondEnded);
    onlyOwnFilesWent();
    after(List.of(firstEnded, secondEnded), first, second);
    return "race " + (firstEnded ? "ok " : "failed ") + (secondEnded ? "ok" : "failed");
  }

  private void begin(Fault fault) {
    store.restore(step.before());
    store.startCounting();
    store.inject(fault);
    what = stage + " under " + store.rule() + ", " + fault + " -Dkklip.faults.seed=" + seed;
  }

  /** Whether the stage ended without an error. */
  private boolean run(String client, Duration expiry) {
    try {
      pipeline.run(stage, client, expiry);
      return true;
    } catch (Exception | FSError e) {
      return false;
    } finally {
      store.end(client);
    }
  }

  private long commits() throws IOException {
    DatasetFolder dataset = new DatasetFolder(store.path("data"), store.configuration("reader"));
    return ManifestFiles.newestNumber(dataset.configuration(), dataset.root());
  }

  private void onePublished(long before, List<String> writers, boolean both) throws IOException {
    long after = commits();
    assertThat(after - before).as(what + ", commits").isBetween(0L, 1L);
    if (both && stage != Stage.CLEAN) {
      assertThat(after).as(what + ", both ended well").isEqualTo(before + 1);
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

  private void after(List<Boolean> ended, String... gone) throws Exception {
    store.restart(seed);
    // Tasks of the stage that still run belong to a process that is gone.
    List.of(gone).forEach(store::kill);
    boolean watched = seed % 4 == 0;
    changeClaims("pid", DEAD_PROCESS);
    if (watched) {
      changeClaims("processes", "\"another machine\"");
      changeClaims("expiry", Long.toString(Pipeline.SHORT_EXPIRY.toMillis()));
    }
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
      runAgain();
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
  private void runAgain() {
    try {
      runOnceMore();
    } catch (Exception | FSError e) {
      throw new AssertionError(what + " cannot be run again", e);
    }
  }

  private void runOnceMore() throws IOException {
    try {
      pipeline.run(stage, client());
    } catch (LeaseHeldException e) {
      List<String> claims = claims();
      assertThat(store.rule()).as(what + ": " + e).isEqualTo(FaultStore.Rule.S3);
      assertThat(claims).as(what).anyMatch(claim -> e.getMessage().contains(claim));
      for (String claim : claims) {
        store.remove(claim);
      }
      pipeline.run(stage, client());
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
