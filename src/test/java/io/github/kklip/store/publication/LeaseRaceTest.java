package io.github.kklip.store.publication;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.faults.Fault;
import io.github.kklip.faults.FaultStore;
import io.github.kklip.faults.FaultStore.Rule;
import io.github.kklip.faults.VirtualClock;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Never do two hold one folder. Each round can be repeated by its seed. */
class LeaseRaceTest {
  private static final Logger LOG = LoggerFactory.getLogger(LeaseRaceTest.class);
  private static final Duration EXPIRY = Duration.ofMinutes(2);
  private static final Duration BEAT = EXPIRY.dividedBy(10);
  private static final Duration LATENCY = Duration.ofMillis(100);

  /** More on a command line: {@code -Dkklip.lease.rounds=2000}. */
  private static final int ROUNDS = Integer.getInteger("kklip.lease.rounds", 100);

  @TempDir private Path temporary;

  /** How a round went. */
  private record Round(int holders, int wins, int refusals) {}

  /** What a claim that is there before a round is. */
  private enum Before {
    NOTHING,
    /** Of a machine that is gone, with hour-old files. */
    STALE,
    /** Of a holder that stops for up to three expiries and then goes on. */
    PAUSED
  }

  @ParameterizedTest
  @EnumSource(Rule.class)
  void ofTwoStartsOneHolds(Rule rule) throws Exception {
    assertOneHolder(rule, 2, Before.NOTHING);
  }

  @ParameterizedTest
  @EnumSource(Rule.class)
  void ofThreeThatFindAStaleClaimOneHolds(Rule rule) throws Exception {
    assertOneHolder(rule, 3, Before.STALE);
  }

  @ParameterizedTest
  @EnumSource(Rule.class)
  void aHolderThatStoodAndGoesOnDoesNotHoldBesideItsSuccessor(Rule rule) throws Exception {
    assertOneHolder(rule, 3, Before.PAUSED);
  }

  private static void assertOneHolder(Rule rule, int racers, Before before) throws Exception {
    int wins = 0;
    int refusals = 0;
    for (int seed = 0; seed < ROUNDS; seed++) {
      Round round = round(rule, racers, before, seed);
      assertThat(round.holders)
          .as("most holders at one time, %s, %s, seed %s", rule, before, seed)
          .isLessThanOrEqualTo(1);
      wins += round.wins;
      refusals += round.refusals;
    }
    // Nobody has it where one stands while it asks, and the other is refused for it.
    assertThat(wins).isBetween(ROUNDS * 8 / 10, ROUNDS * 2);
    LOG.info(
        "{}, {} of {}: {} rounds, {} wins, {} refusals",
        before,
        racers,
        rule,
        ROUNDS,
        wins,
        refusals);
  }

  private static Round round(Rule rule, int racers, Before before, int seed) throws Exception {
    SplittableRandom random = new SplittableRandom(seed);
    VirtualClock clock = new VirtualClock();
    try (FaultStore store = FaultStore.open("race", rule)) {
      if (before == Before.STALE) {
        stale(store);
      }
      store.latency(clock, seed, LATENCY);
      List<Lease> leases = new ArrayList<>();
      AtomicInteger most = new AtomicInteger();
      AtomicInteger wins = new AtomicInteger();
      AtomicInteger refusals = new AtomicInteger();
      List<Callable<Void>> tasks = new ArrayList<>();
      for (int i = 0; i < racers; i++) {
        String name = "racer" + i;
        // Clocks of day 125 s apart.
        VirtualHost host = new VirtualHost(clock, name, i + 1).ahead(Duration.ofSeconds(125L * i));
        boolean first = before == Before.PAUSED && i == 0;
        Duration start =
            before == Before.PAUSED && !first
                ? Duration.ofSeconds(5 + random.nextInt(60))
                : Duration.ofMillis(random.nextInt(50));
        if (first || random.nextInt(4) == 0) {
          store.inject(
              Fault.at(Fault.Kind.PAUSE, 1 + random.nextInt(first ? 80 : 25), seed)
                  .of(name)
                  .lasting(Duration.ofMillis(1 + random.nextInt((int) (3 * EXPIRY.toMillis())))));
        }
        int beats = 5 + random.nextInt(60);
        Configuration configuration = store.configuration(name);
        tasks.add(
            () -> {
              clock.sleep(start);
              try (Lease lease =
                  Lease.acquire(
                      configuration,
                      store.path("data"),
                      name,
                      EXPIRY,
                      Takeover.AFTER_EXPIRY,
                      host)) {
                wins.incrementAndGet();
                leases.add(lease);
                for (int beat = 0; beat < beats; beat++) {
                  most.accumulateAndGet(holders(leases), Math::max);
                  lease.check();
                  clock.sleep(BEAT);
                  lease.renew();
                }
              } catch (LeaseHeldException e) {
                refusals.incrementAndGet();
              } catch (IOException e) {
                assertThat(e).hasMessageContaining("the lease was lost");
              }
              return null;
            });
      }
      clock.run(tasks);
      assertThat(store.files().keySet()).as("left by seed %s", seed).isEmpty();
      return new Round(most.get(), wins.get(), refusals.get());
    }
  }

  /** How many would be let write now. */
  private static int holders(List<Lease> leases) {
    int holders = 0;
    for (Lease lease : leases) {
      try {
        lease.check();
        holders++;
      } catch (IOException e) {
        assertThat(e).hasMessageContaining("the lease was lost");
      }
    }
    return holders;
  }

  private static void stale(FaultStore store) {
    String token = UUID.nameUUIDFromBytes(new byte[] {1}).toString();
    LeaseClaim claim =
        new LeaseClaim(token, "old", "gone", "", 1, "once", EXPIRY.toMillis(), 5, -1, List.of());
    store.write("/data/_leases/" + token + ".5.json", Json.pretty(claim));
  }

  /** Real threads and a real disk: all find the claim of a process that is gone. */
  @Test
  void onALocalDiskOneOfFourThreadsHolds() throws Exception {
    Process gone = new ProcessBuilder("true").start();
    assertThat(gone.waitFor()).isZero();
    Configuration configuration = new Configuration();
    ExecutorService threads = Executors.newFixedThreadPool(4);
    try {
      for (int round = 0; round < 40; round++) {
        Path folder = temporary.resolve("round" + round);
        String token = UUID.randomUUID().toString();
        LeaseClaim claim =
            new LeaseClaim(
                token,
                "old",
                "here",
                LeaseHost.THIS.processes(),
                gone.pid(),
                "once",
                EXPIRY.toMillis(),
                5,
                -1,
                List.of());
        Files.createDirectories(folder.resolve("_leases"));
        Files.write(folder.resolve("_leases/" + token + ".5.json"), Json.pretty(claim));
        CountDownLatch others = new CountDownLatch(3);
        List<Future<Boolean>> wins = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
          wins.add(threads.submit(() -> holds(configuration, folder, others)));
        }
        int holders = 0;
        for (Future<Boolean> win : wins) {
          holders += win.get(1, TimeUnit.MINUTES) ? 1 : 0;
        }
        assertThat(holders).isEqualTo(1);
        assertThat(folder).isEmptyDirectory();
      }
    } finally {
      threads.shutdownNow();
    }
  }

  /** Who gets it has it until the others were refused. */
  private static boolean holds(Configuration configuration, Path folder, CountDownLatch others)
      throws Exception {
    var target = new org.apache.hadoop.fs.Path(folder.toUri());
    try (Lease lease = Lease.acquire(configuration, target, "job", EXPIRY)) {
      assertThat(others.await(1, TimeUnit.MINUTES)).isTrue();
      lease.check();
      return true;
    } catch (LeaseHeldException e) {
      return false;
    } finally {
      others.countDown();
    }
  }

  @Test
  void aProcessThatWasStoppedAndGoesOnHasLost() throws Exception {
    Process holder =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx128m",
                "-cp",
                System.getProperty("java.class.path"),
                Holder.class.getName(),
                temporary.toUri().toString())
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    try (BufferedReader lines = holder.inputReader(StandardCharsets.UTF_8)) {
      assertThat(lines.readLine()).isEqualTo("held");
      var folder = new org.apache.hadoop.fs.Path(temporary.toUri());
      Configuration configuration = new Configuration();
      assertThatThrownBy(() -> Lease.acquire(configuration, folder, "second", EXPIRY))
          .isInstanceOf(LeaseHeldException.class)
          .hasMessageContaining("(process " + holder.pid() + ", started ");
      signal("STOP", holder);
      try (Lease heir = takeOver(configuration, folder)) {
        signal("CONT", holder);
        // The log goes there too.
        assertThat(lines.lines().toList())
            .anySatisfy(
                line ->
                    assertThat(line)
                        .startsWith("Cannot go on writing to ")
                        .contains("because the lease was lost: "));
        heir.check();
      }
    } finally {
      holder.destroyForcibly();
    }
  }

  /** Asks again as long as the last heartbeat is seen to be fresh. */
  private static Lease takeOver(Configuration configuration, org.apache.hadoop.fs.Path folder)
      throws IOException {
    while (true) {
      try {
        return Lease.acquire(configuration, folder, "second", EXPIRY);
      } catch (LeaseHeldException e) {
        Thread.onSpinWait();
      }
    }
  }

  private static void signal(String name, Process process) throws Exception {
    assertThat(
            new ProcessBuilder("kill", "-" + name, String.valueOf(process.pid())).start().waitFor())
        .isZero();
  }

  /** Takes a lease and says when it is lost. */
  static final class Holder {
    private Holder() {}

    public static void main(String[] arguments) throws Exception {
      try (Lease lease =
          Lease.acquire(
              new Configuration(),
              new org.apache.hadoop.fs.Path(arguments[0]),
              "first",
              Duration.ofSeconds(2))) {
        CountDownLatch lost = new CountDownLatch(1);
        lease.onLoss(lost::countDown);
        System.out.println("held");
        assertThat(lost.await(1, TimeUnit.MINUTES)).isTrue();
        lease.check();
      } catch (IOException e) {
        System.out.println(e.getMessage());
      }
    }
  }
}
