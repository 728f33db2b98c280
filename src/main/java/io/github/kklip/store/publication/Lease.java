package io.github.kklip.store.publication;

import static io.github.kklip.config.Message.message;

import java.io.Closeable;
import java.io.IOException;
import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSError;
import org.apache.hadoop.fs.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The right to write into one folder, held by one job at a time. Each job that wants it writes a
 * claim of its own into {@code _leases}; who has it renews its claim by heartbeats. A second job is
 * refused with the name of the first. The lease of a job that died is taken over: at once where its
 * process is seen to be gone, else after its claim was watched for the expiry without a heartbeat.
 *
 * <p>It excludes on any store that lists what was written before, with no help of its rename or
 * create, and asks no clock but the monotonic one of each process. A job that was stopped and goes
 * on finds in {@link #check} that its lease has expired. Between a check and a write it may be
 * stopped all the same: that nothing is overwritten is the matter of the write itself.
 */
public final class Lease implements Closeable {
  private static final Logger LOG = LoggerFactory.getLogger(Lease.class);

  /** Where claims stand in the folder; readers of Parquet folders pass it over. */
  public static final String FOLDER = LeaseClaims.FOLDER;

  private static final int BEATS_AN_EXPIRY = 10;

  private final Path folder;
  private final LeaseClaims claims;
  private final LeaseHost host;
  private final List<Path> made;
  private final Duration expiry;
  private final List<Runnable> listeners = new CopyOnWriteArrayList<>();
  private final ScheduledExecutorService threads;

  /** Held while a heartbeat is written: not by those who only ask. */
  private final ReentrantLock beating = new ReentrantLock();

  /** The newest that was seen in its place, with no other in the way. */
  private LeaseClaim claim;

  /** Of the newest file, seen or not. */
  private long written;

  /** When the heartbeat in {@link #claim} began to be written. */
  private long renewed;

  private boolean closed;
  private String lost;

  private Lease(
      Path folder, LeaseClaims claims, LeaseHost host, List<Path> made, LeaseContest.Won won) {
    this.folder = folder;
    this.claims = claims;
    this.host = host;
    this.made = made;
    this.claim = won.claim();
    this.renewed = won.begun();
    this.expiry = Duration.ofMillis(claim.expiry());
    this.threads =
        Executors.newScheduledThreadPool(
            2,
            task -> {
              Thread thread = new Thread(task, "lease of " + folder);
              thread.setDaemon(true);
              return thread;
            });
  }

  /**
   * Takes the lease of a folder, which is made when it is not there. Waits, as long as the expiry
   * of a claim that is there, to see whether its holder lives.
   *
   * @param job the name of the job, for the message that a second one gets
   * @param expiry how long the lease outlives its last heartbeat
   * @throws LeaseHeldException when another job holds it
   */
  public static Lease acquire(Configuration configuration, Path folder, String job, Duration expiry)
      throws IOException {
    return acquire(configuration, folder, job, expiry, Takeover.AFTER_EXPIRY);
  }

  /** The same, with what becomes of a claim that is not renewed. */
  public static Lease acquire(
      Configuration configuration, Path folder, String job, Duration expiry, Takeover takeover)
      throws IOException {
    Lease lease = acquire(configuration, folder, job, expiry, takeover, LeaseHost.THIS);
    long beat = Math.max(1, expiry.toMillis() / BEATS_AN_EXPIRY);
    var unused = lease.threads.scheduleAtFixedRate(lease::renew, beat, beat, TimeUnit.MILLISECONDS);
    // Beside the heartbeats: they may hang in a store that does not answer.
    unused = lease.threads.scheduleAtFixedRate(lease::expire, beat, beat, TimeUnit.MILLISECONDS);
    return lease;
  }

  /** Without the threads that renew. */
  public static Lease acquire(
      Configuration configuration,
      Path folder,
      String job,
      Duration expiry,
      Takeover takeover,
      LeaseHost host)
      throws IOException {
    LeaseClaims claims = new LeaseClaims(configuration, folder, expiry);
    List<Path> made = claims.missing();
    LeaseContest.Won won;
    try {
      won = new LeaseContest(folder, claims, host, takeover).win(job, expiry);
    } catch (IOException | RuntimeException e) {
      claims.removeEmpty(made);
      throw e;
    }
    Lease lease = new Lease(folder, claims, host, made, won);
    try {
      lease.beat();
      lease.check();
    } catch (IOException | RuntimeException e) {
      lease.closeAfter(e);
      throw e;
    }
    return lease;
  }

  /** Who holds a folder, in words; empty when nobody is seen to. Writes nothing. */
  public static Optional<String> holder(Configuration configuration, Path folder)
      throws IOException {
    return new LeaseClaims(configuration, folder, Duration.ZERO)
        .list().values().stream()
            .filter(claim -> claim.holds() && !claim.hasDied(LeaseHost.THIS))
            .map(LeaseClaim::words)
            .findFirst();
  }

  /**
   * Throws when the lease was lost: when it could not be renewed in time, or another job has it. To
   * be called before anything is published.
   */
  public void check() throws IOException {
    expire();
    String why = lost();
    if (why != null) {
      throw new IOException(
          message(
              "Cannot go on writing to %s because the lease was lost: %s. Run the job again.",
              folder, why));
    }
  }

  /**
   * Calls a listener as soon as the lease is lost, on a thread of the lease; at once when it is
   * lost already. Not when it is given back.
   */
  public void onLoss(Runnable listener) {
    synchronized (this) {
      if (lost == null) {
        listeners.add(listener);
        return;
      }
    }
    listener.run();
  }

  /** Writes a heartbeat, unless the lease is lost. */
  public void renew() {
    try {
      beat();
    } catch (IOException | FSError e) {
      // The next heartbeat may succeed; expire() sees when none does in time.
      LOG.warn("Cannot renew the lease of {}", folder, e);
    } catch (RuntimeException e) {
      // An executor ends what throws.
      LOG.error("Cannot renew the lease of {}", folder, e);
    }
  }

  private void beat() throws IOException {
    beating.lock();
    try {
      if (lost() != null) {
        return;
      }
      long begun = host.nanos();
      LeaseClaim next = claim.beat(++written, host.uptime().orElse(-1));
      claims.write(next);
      Map<String, LeaseClaim> all = claims.list();
      String why = others(all.values());
      if (why == null && !claims.wasListed(claim)) {
        why = "its claim was removed";
      }
      if (why != null) {
        lose(why);
        claims.remove(claim.token(), Long.MAX_VALUE);
        return;
      }
      expire();
      boolean given;
      synchronized (this) {
        given = closed;
        if (lost == null) {
          claim = next;
          renewed = begun;
        }
      }
      claims.remove(claim.token(), given ? Long.MAX_VALUE : written);
    } finally {
      beating.unlock();
    }
  }

  /** Why others have the folder by now, or null. Those who only ask for it go when they see it. */
  private String others(Iterable<LeaseClaim> all) {
    for (LeaseClaim other : all) {
      if (other.takes().contains(claim.token())) {
        return other.words() + " took it over";
      }
      boolean mine = other.token().equals(claim.token());
      if (!mine && other.holds() && !claim.takes().contains(other.token())) {
        return other.words() + " has it";
      }
    }
    return null;
  }

  /** Gives the folder up when the last heartbeat is too long ago. */
  private void expire() {
    long age;
    synchronized (this) {
      age = host.nanos() - renewed;
    }
    if (age >= expiry.toNanos()) {
      lose("it was not renewed for " + Duration.ofNanos(age).truncatedTo(ChronoUnit.MILLIS));
    }
  }

  private synchronized String lost() {
    return lost;
  }

  private void lose(String why) {
    synchronized (this) {
      if (lost != null || closed) {
        return;
      }
      lost = why;
    }
    LOG.error("Lost the lease of {}: {}", folder, why);
    listeners.forEach(Runnable::run);
  }

  /**
   * Gives the folder back; one that was made for the lease and is empty goes. A heartbeat that
   * hangs in the file system is waited for as long as the expiry: then the claim stays, and
   * expires.
   */
  @Override
  public void close() throws IOException {
    threads.shutdown();
    boolean quiet = awaitHeartbeat();
    try {
      synchronized (this) {
        closed = true;
        lost = lost == null ? "it was given back" : lost;
      }
      if (quiet) {
        claims.remove(claim.token(), Long.MAX_VALUE);
        claims.removeEmpty(made);
      } else {
        LOG.warn(
            "Cannot give the lease of {} back because a heartbeat has hung in its file system for {} or the job was interrupted. The next job takes it over after its expiry",
            folder,
            expiry);
      }
    } finally {
      if (quiet) {
        beating.unlock();
      }
    }
  }

  /** Whether no heartbeat is being written, and none will be. */
  private boolean awaitHeartbeat() {
    if (beating.tryLock()) {
      return true;
    }
    try {
      return beating.tryLock(expiry.toNanos(), TimeUnit.NANOSECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  private void closeAfter(Exception failure) {
    try {
      close();
    } catch (IOException | RuntimeException e) {
      failure.addSuppressed(e);
    }
  }
}
