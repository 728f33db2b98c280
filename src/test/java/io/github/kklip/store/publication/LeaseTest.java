package io.github.kklip.store.publication;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.faults.Fault;
import io.github.kklip.faults.FaultStore;
import io.github.kklip.faults.FaultStore.Rule;
import io.github.kklip.faults.VirtualClock;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;
import org.junit.jupiter.api.io.TempDir;

class LeaseTest {
  private static final Duration EXPIRY = Duration.ofMinutes(2);

  private final Configuration configuration = new Configuration();
  private final VirtualClock clock = new VirtualClock();
  private final VirtualHost here = new VirtualHost(clock, "here", 1);
  private final VirtualHost there = new VirtualHost(clock, "there", 2);

  @TempDir Path folder;

  @Test
  void aSecondJobIsRefusedWithTheNameOfTheFirst() throws IOException {
    try (Lease first = acquire("ingest")) {
      assertThatThrownBy(() -> acquire("embed"))
          .isInstanceOf(LeaseHeldException.class)
          .hasMessageMatching(
              "Cannot write to file:.* because the job ingest on .+ \\(process "
                  + ProcessHandle.current().pid()
                  + ", started 20.*Z\\) is writing to it\\. Wait for its end; if it died, its lease expires after PT2M\\.");
      first.check();
      assertThat(Lease.holder(configuration, target(folder)))
          .hasValueSatisfying(words -> assertThat(words).startsWith("the job ingest on "));
      assertThat(folder).isDirectoryContaining(file -> file.endsWith("_leases"));
    }
    assertThat(Lease.holder(configuration, target(folder))).isEmpty();
    acquire("embed").close();
    assertThat(folder).isEmptyDirectory();
  }

  @Test
  void whatWasMadeForTheLeaseGoesWithItWhenNothingCameIntoIt() throws IOException {
    Path deep = folder.resolve("a/b");
    acquire(deep, "ingest").close();
    assertThat(folder).isEmptyDirectory();

    try (Lease lease = acquire(deep, "ingest")) {
      lease.check();
      Files.createFile(folder.resolve("a/kept"));
    }
    assertThat(folder.resolve("a")).isDirectoryContaining(file -> file.endsWith("kept"));
    assertThat(deep).doesNotExist();

    Files.createDirectory(deep);
    acquire(deep, "ingest").close();
    assertThat(deep).isEmptyDirectory();
  }

  @Test
  void whoWatchedForTheExpiryTakesOverAndTheOldHolderLearnsIt() throws IOException {
    Lease dead = acquire("ingest", here);
    long before = clock.nanos();
    try (Lease heir = acquire("embed", there)) {
      assertThat(Duration.ofNanos(clock.nanos() - before)).isBetween(EXPIRY, EXPIRY.plusSeconds(5));
      assertThatThrownBy(dead::check)
          .hasMessageContaining("the lease was lost: it was not renewed");
      dead.renew();
      heir.check();
      dead.close();
      heir.renew();
      heir.check();
    }
    assertThat(folder).isEmptyDirectory();
  }

  @Test
  @Timeout(value = 1, unit = TimeUnit.MINUTES, threadMode = ThreadMode.SEPARATE_THREAD)
  void closingDoesNotWaitForAHeartbeatThatHangs() throws Exception {
    Duration expiry = Duration.ofMillis(200);
    try (FaultStore store = FaultStore.open("hangs", Rule.HDFS)) {
      Lease lease = Lease.acquire(store.configuration("a"), store.path("data"), "ingest", expiry);
      // One of the next heartbeats.
      store.inject(new Fault(Fault.Kind.PAUSE, "a", 100, false, Duration.ZERO));
      assertThat(store.awaitPause("a", Duration.ofMinutes(1))).isTrue();
      assertThatCode(lease::close).doesNotThrowAnyException();
      // The claim is there until the heartbeat goes on; others see it expire.
      assertThat(store.files().keySet()).anyMatch(file -> file.contains("/_leases/"));
      assertThatThrownBy(lease::check).hasMessageContaining("the lease was lost");
    }
  }

  @Test
  void oneWhoseTimeHasNotComeLearnsFromTheClaimThatNamesIt() throws IOException {
    Lease first = acquire("ingest", here);
    // A machine whose clock runs twice as fast: it must not, but the loss is seen all the same.
    Lease heir = acquire("embed", new VirtualHost(clock, "fast", 3).twiceAsFast());
    first.check();
    first.renew();
    assertThatThrownBy(first::check)
        .hasMessageContaining("the job embed on fast (process 3, started 2026-01-01T00:0")
        .hasMessageContaining("took it over");
    heir.close();
    assertThat(folder).isEmptyDirectory();
  }

  @Test
  void aHolderOnAnotherMachineIsSeenByItsHeartbeat() throws Exception {
    Lease first = acquire("ingest", here);
    List<Duration> refused =
        clock.run(
            List.of(
                () -> {
                  for (int i = 0; i < 20; i++) {
                    clock.sleep(Duration.ofSeconds(12));
                    first.renew();
                  }
                  return Duration.ZERO;
                },
                () -> {
                  clock.sleep(Duration.ofSeconds(30));
                  long before = clock.nanos();
                  assertThatThrownBy(() -> acquire("embed", there))
                      .isInstanceOf(LeaseHeldException.class)
                      .hasMessageContaining("the job ingest on here");
                  return Duration.ofNanos(clock.nanos() - before);
                }));

    assertThat(refused.get(1)).isLessThan(Duration.ofSeconds(15));
    first.check();
  }

  @Test
  void theLeaseOfAProcessThatIsGoneIsTakenOverAtOnce() throws IOException {
    Lease killed = acquire("train", here);
    here.kill();
    long before = clock.nanos();
    acquire("train", here.beside(7)).close();
    assertThat(clock.nanos()).isEqualTo(before);
    assertThatThrownBy(
            () -> {
              killed.renew();
              killed.check();
            })
        .hasMessageContaining("its claim was removed");
  }

  @Test
  void aProcessThatStandsHoldsUntilItsExpiryAlsoOnTheSameMachine() throws IOException {
    Lease standing = acquire("train", here);
    assertThatThrownBy(() -> acquire("embed", here.beside(7)))
        .isInstanceOf(LeaseHeldException.class);
    clock.sleep(EXPIRY);
    acquire("embed", here.beside(7)).close();
    assertThatThrownBy(standing::check).hasMessageContaining("it was not renewed for PT");
  }

  @Test
  void renewalKeepsALeaseAlive() throws IOException {
    try (Lease lease = acquire("ingest", here)) {
      for (int i = 0; i < 5; i++) {
        clock.sleep(Duration.ofSeconds(90));
        lease.renew();
      }
      assertThatCode(lease::check).doesNotThrowAnyException();
      assertThat(folder.resolve("_leases"))
          .isDirectoryContaining(f -> f.toString().endsWith(".6.json"));
      claim();
    }
  }

  @Test
  void aHolderWhoseClaimWasRemovedStops() throws IOException {
    Lease lease = acquire("ingest", here);
    AtomicInteger told = new AtomicInteger();
    lease.onLoss(told::incrementAndGet);
    Files.delete(claim());
    lease.renew();

    assertThatThrownBy(lease::check).hasMessageContaining("its claim was removed");
    assertThat(told).hasValue(1);
    lease.onLoss(told::incrementAndGet);
    assertThat(told).hasValue(2);
    assertThat(folder.resolve("_leases")).isEmptyDirectory();
  }

  @Test
  void theThreadsTellOfALossAlsoWhenNobodyAsks() throws Exception {
    FaultStore store = FaultStore.open("lease", Rule.HDFS);
    try (store) {
      Lease lease =
          Lease.acquire(store.configuration("a"), store.path("data"), "job", Duration.ofSeconds(1));
      AtomicInteger told = new AtomicInteger();
      CountDownLatch lost = new CountDownLatch(1);
      lease.onLoss(told::incrementAndGet);
      lease.onLoss(lost::countDown);
      // Its next heartbeat hangs.
      store.inject(
          new Fault(Fault.Kind.PAUSE, "a", store.operations("a") + 3, false, Duration.ZERO));
      assertThat(lost.await(1, TimeUnit.MINUTES)).isTrue();
      assertThat(told).hasValue(1);
      assertThatThrownBy(lease::check).hasMessageContaining("it was not renewed for PT1");
      store.release("a");
      lease.close();
      assertThat(told).hasValue(1);
    }
  }

  @Test
  void givingBackIsNoLoss() throws IOException {
    Lease lease = acquire("ingest", here);
    AtomicInteger told = new AtomicInteger();
    lease.onLoss(told::incrementAndGet);
    lease.close();
    lease.renew();
    clock.sleep(EXPIRY.multipliedBy(2));
    assertThatThrownBy(lease::check).hasMessageContaining("it was given back");
    assertThat(told).hasValue(0);
    assertThat(folder).isEmptyDirectory();
  }

  @Test
  void aClaimThatCannotBeReadIsWatchedAsAnyOther() throws IOException {
    Lease lost = acquire("ingest", here);
    Files.write(claim(), new byte[0]);
    long before = clock.nanos();
    acquire("embed", there).close();
    assertThat(Duration.ofNanos(clock.nanos() - before)).isBetween(EXPIRY, EXPIRY.plusSeconds(5));
    lost.close();
    assertThat(folder).isEmptyDirectory();
  }

  @Test
  void theExpiryIsThatOfTheHolder() throws Exception {
    Lease patient = acquire("train", here);
    clock.sleep(Duration.ofSeconds(1));
    long before = clock.nanos();
    Lease.acquire(
            configuration,
            target(folder),
            "embed",
            Duration.ofSeconds(1),
            Takeover.AFTER_EXPIRY,
            there)
        .close();
    assertThat(Duration.ofNanos(clock.nanos() - before)).isGreaterThanOrEqualTo(EXPIRY);
    patient.close();
  }

  @Test
  void withoutTakeoverAPersonDecides() throws IOException {
    Lease dead = acquire("ingest", here);
    Path claim = claim();
    for (boolean killed : List.of(false, true)) {
      if (killed) {
        here.kill();
      }
      assertThatThrownBy(() -> acquireWithoutTakeover(killed ? here.beside(7) : there))
          .isInstanceOf(LeaseHeldException.class)
          .hasMessageContaining("because the job ingest on here (process 1, started ")
          .hasMessageContaining("has not given it back")
          .hasMessageEndingWith(
              "Once it is certain that the job is gone, remove file:" + claim + " and run again.");
    }
    Files.delete(claim);
    acquireWithoutTakeover(there).close();
    dead.renew();
    assertThatThrownBy(dead::check).hasMessageContaining("the lease was lost");
  }

  private Lease acquireWithoutTakeover(LeaseHost host) throws IOException {
    return Lease.acquire(configuration, target(folder), "embed", EXPIRY, Takeover.NEVER, host);
  }

  private Path claim() throws IOException {
    List<Path> files = new ArrayList<>();
    try (var list = Files.list(folder.resolve("_leases"))) {
      list.forEach(files::add);
    }
    assertThat(files).hasSize(1);
    return files.get(0);
  }

  private Lease acquire(String job) throws IOException {
    return acquire(folder, job);
  }

  private Lease acquire(Path where, String job) throws IOException {
    return Lease.acquire(
        configuration, target(where), job, EXPIRY, Takeover.AFTER_EXPIRY, LeaseHost.THIS);
  }

  private Lease acquire(String job, LeaseHost host) throws IOException {
    return Lease.acquire(configuration, target(folder), job, EXPIRY, Takeover.AFTER_EXPIRY, host);
  }

  private static org.apache.hadoop.fs.Path target(Path where) {
    return new org.apache.hadoop.fs.Path(where.toUri());
  }
}
