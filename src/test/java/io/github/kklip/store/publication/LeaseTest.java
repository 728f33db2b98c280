package io.github.kklip.store.publication;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LeaseTest {
  private static final Duration EXPIRY = Duration.ofMinutes(2);

  private final Configuration configuration = new Configuration();
  private final Wound clock = new Wound();

  @TempDir Path folder;

  @Test
  void aSecondJobIsRefusedWithTheNameOfTheFirst() throws IOException {
    try (Lease first = acquire("ingest")) {
      assertThatThrownBy(() -> acquire("embed"))
          .isInstanceOf(LeaseHeldException.class)
          .hasMessageContaining("because the job ingest on ")
          .hasMessageContaining("process " + ProcessHandle.current().pid())
          .hasMessageContaining("its lease expires after PT2M");
      first.check();
    }
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
  void aStaleLeaseIsTakenOverAndItsHolderLearnsIt() throws IOException {
    Lease dead = acquire("ingest");
    clock.forward(Duration.ofSeconds(121));

    try (Lease heir = acquire("embed")) {
      assertThatThrownBy(dead::check)
          .hasMessageContaining("the lease was lost: it was not renewed");
      dead.renew();
      heir.check();
      dead.close();
      heir.renew();
      heir.check();
    }
  }

  @Test
  void theLeaseOfAProcessThatIsGoneIsTakenOverAtOnce() throws Exception {
    Process process = new ProcessBuilder("true").start();
    assertThat(process.waitFor()).isZero();
    Lease killed = acquire("train");
    Path file = folder.resolve(".lease");
    String holder = Files.readString(file);
    String pid = "\"pid\" : " + ProcessHandle.current().pid() + ",";
    assertThat(holder.replace("\": ", "\" : ")).contains(pid);
    Files.writeString(
        file, holder.replace("\": ", "\" : ").replace(pid, "\"pid\" : " + process.pid() + ","));
    acquire("train").close();
    killed.close();
  }

  @Test
  void renewalKeepsALeaseAlive() throws IOException {
    try (Lease lease = acquire("ingest")) {
      for (int i = 0; i < 5; i++) {
        clock.forward(Duration.ofSeconds(90));
        lease.renew();
      }

      assertThatThrownBy(() -> acquire("embed")).isInstanceOf(LeaseHeldException.class);
      assertThatCode(lease::check).doesNotThrowAnyException();
    }
  }

  @Test
  void aHolderWhoseFileWasRemovedStops() throws IOException {
    Lease lease = acquire("ingest");
    Files.delete(folder.resolve(".lease"));
    lease.renew();

    assertThatThrownBy(lease::check).hasMessageContaining("its file was removed");
  }

  @Test
  void aFileThatWasNotWrittenWholeIsALeaseByItsAge() throws IOException {
    Files.write(folder.resolve(".lease"), new byte[0]);
    clock.set(Instant.now());
    assertThatThrownBy(() -> acquire("ingest")).isInstanceOf(LeaseHeldException.class);

    clock.forward(EXPIRY.plusSeconds(1));
    acquire("ingest").close();
  }

  private Lease acquire(String job) throws IOException {
    return acquire(folder, job);
  }

  private Lease acquire(Path where, String job) throws IOException {
    return Lease.acquire(
        configuration, new org.apache.hadoop.fs.Path(where.toUri()), job, EXPIRY, clock);
  }

  /** A clock that stands until it is set. */
  private static final class Wound extends Clock {
    private Instant now = Instant.parse("2026-01-01T00:00:00Z");

    void forward(Duration duration) {
      now = now.plus(duration);
    }

    void set(Instant instant) {
      now = instant;
    }

    @Override
    public Instant instant() {
      return now;
    }

    @Override
    public ZoneId getZone() {
      return ZoneOffset.UTC;
    }

    @Override
    public Clock withZone(ZoneId zone) {
      return this;
    }
  }
}
