package io.github.kklip.store.publication;

import static io.github.kklip.config.Message.message;

import java.io.Closeable;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.StandardOpenOption;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The right to write into one folder, held by one job at a time: a file {@code .lease} that names
 * the holder and that a daemon thread renews. A second job is refused with the name of the first.
 * The lease of a job that died expires, and the next job takes it over; at once where it can see
 * that the process is gone.
 *
 * <p>Clocks of the hosts have to agree within a third of the expiry. File systems create the file
 * in one step, so that one of two jobs that start together is refused. Object stores may let both
 * create it; the one whose file was replaced finds out at its next renewal, and {@link #check} then
 * throws.
 */
public final class Lease implements Closeable {
  private static final Logger LOG = LoggerFactory.getLogger(Lease.class);
  private static final String FILE = ".lease";

  /**
   * Who holds a folder. Times are milliseconds since 1970.
   *
   * @param processes where {@code pid} counts: the machine's boot and its namespace of processes
   */
  record Holder(
      String token,
      String job,
      String host,
      String processes,
      long pid,
      long start,
      long heartbeat) {
    private Holder at(long now) {
      return new Holder(token, job, host, processes, pid, start, now);
    }

    /** Whether its process would be seen from here, and is not there. */
    private boolean hasDied() {
      return !processes.isEmpty()
          && processes.equals(Lease.processes())
          && ProcessHandle.of(pid).filter(ProcessHandle::isAlive).isEmpty();
    }

    private String words() {
      return message(
          "the job %s on %s (process %s, started %s, last heard of %s)",
          job, host, pid, Instant.ofEpochMilli(start), Instant.ofEpochMilli(heartbeat));
    }
  }

  private final Configuration configuration;
  private final Path file;
  private final Duration expiry;
  private final Clock clock;
  private final ScheduledExecutorService heartbeat;
  private final List<Path> made;
  private Holder holder;
  private String lost;

  private Lease(
      Configuration configuration,
      Path file,
      Duration expiry,
      Clock clock,
      Holder holder,
      List<Path> made) {
    this.configuration = configuration;
    this.made = made;
    this.file = file;
    this.expiry = expiry;
    this.clock = clock;
    this.holder = holder;
    this.heartbeat =
        Executors.newSingleThreadScheduledExecutor(
            task -> {
              Thread thread = new Thread(task, "lease of " + file.getParent());
              thread.setDaemon(true);
              return thread;
            });
  }

  /**
   * Takes the lease of a folder, which is made when it is not there.
   *
   * @param job the name of the job, for the message that a second one gets
   * @param expiry how long the lease outlives its last renewal
   * @throws LeaseHeldException when another job holds it
   */
  public static Lease acquire(Configuration configuration, Path folder, String job, Duration expiry)
      throws IOException {
    Lease lease = acquire(configuration, folder, job, expiry, Clock.systemUTC());
    long third = Math.max(1, expiry.toMillis() / 3);
    var unused =
        lease.heartbeat.scheduleAtFixedRate(lease::renew, third, third, TimeUnit.MILLISECONDS);
    return lease;
  }

  /** Without the thread that renews. */
  public static Lease acquire(
      Configuration configuration, Path folder, String job, Duration expiry, Clock clock)
      throws IOException {
    Path file = new Path(folder, FILE);
    FileSystem fileSystem = Storage.of(configuration, folder);
    List<Path> made = missing(fileSystem, folder);
    fileSystem.mkdirs(folder);
    long now = clock.millis();
    Holder mine =
        new Holder(
            UUID.randomUUID().toString(),
            job,
            host(),
            processes(),
            ProcessHandle.current().pid(),
            now,
            now);
    Optional<Holder> other = read(configuration, file);
    if (other.isPresent()) {
      Holder held = other.get();
      boolean dead = held.hasDied();
      if (!dead && now - held.heartbeat < expiry.toMillis()) {
        throw held(folder, held, expiry);
      }
      LOG.warn(
          "Taking over {} from {}, {}",
          folder,
          held.words(),
          dead ? "which has died" : "whose lease has expired");
      removeStale(configuration, file, held, folder, expiry);
    }
    try {
      create(configuration, file, mine);
    } catch (FileAlreadyExistsException | java.nio.file.FileAlreadyExistsException e) {
      Holder winner = read(configuration, file).orElse(mine);
      throw held(folder, winner, expiry);
    }
    return new Lease(configuration, file, expiry, clock, mine, made);
  }

  /**
   * Throws when the lease was lost: when it could not be renewed in time, or another job has it. To
   * be called before anything is published.
   */
  public synchronized void check() throws IOException {
    if (lost == null && clock.millis() - holder.heartbeat >= expiry.toMillis()) {
      lost = "it was not renewed since " + Instant.ofEpochMilli(holder.heartbeat);
    }
    if (lost != null) {
      throw new IOException(
          message(
              "Cannot go on writing to %s because the lease was lost: %s. Run the job again.",
              file.getParent(), lost));
    }
  }

  /** Writes the time of now into the file, unless it is another job's by now. */
  public synchronized void renew() {
    if (lost != null) {
      return;
    }
    try {
      Optional<Holder> current = read(configuration, file);
      if (current.isEmpty() || !current.get().token.equals(holder.token)) {
        lost = current.map(other -> other.words() + " has it").orElse("its file was removed");
        LOG.error("Lost the lease of {}: {}", file.getParent(), lost);
        return;
      }
      Holder renewed = holder.at(clock.millis());
      Json.write(configuration, file, renewed);
      holder = renewed;
    } catch (IOException e) {
      // The next renewal may succeed; check() throws when none does in time.
      LOG.warn("Cannot renew the lease of {}", file.getParent(), e);
    }
  }

  /** Gives the folder back; one that was made for the lease and is empty goes. */
  @Override
  public void close() throws IOException {
    heartbeat.shutdownNow();
    synchronized (this) {
      Optional<Holder> current = read(configuration, file);
      if (current.isPresent() && current.get().token.equals(holder.token)) {
        Storage.of(configuration, file).delete(file, false);
        removeEmpty();
      }
      lost = "it was given back";
    }
  }

  /** The folders that have to be made for this one to be there, itself included, upwards. */
  private static List<Path> missing(FileSystem fileSystem, Path folder) throws IOException {
    List<Path> missing = new ArrayList<>();
    for (Path path = folder; path != null && !fileSystem.exists(path); path = path.getParent()) {
      missing.add(path);
    }
    return missing;
  }

  private void removeEmpty() throws IOException {
    FileSystem fileSystem = Storage.of(configuration, file);
    for (Path folder : made) {
      if (fileSystem.listStatus(folder).length > 0) {
        return;
      }
      fileSystem.delete(folder, false);
    }
  }

  private static String processes() {
    try {
      return message(
          "%s %s",
          Files.readString(java.nio.file.Path.of("/proc/sys/kernel/random/boot_id")).trim(),
          Files.readSymbolicLink(java.nio.file.Path.of("/proc/self/ns/pid")));
    } catch (IOException | UnsupportedOperationException e) {
      return ""; // Not Linux: only time tells.
    }
  }

  private static Optional<Holder> read(Configuration configuration, Path file) throws IOException {
    String text;
    try (InputStream in = Storage.of(configuration, file).open(file)) {
      text = new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (FileNotFoundException e) {
      return Optional.empty();
    }
    try {
      return Optional.of(Json.parse(text, Holder.class));
    } catch (IllegalArgumentException e) {
      // Created, and its holder died or has not come to write it: its age decides.
      long changed = Storage.of(configuration, file).getFileStatus(file).getModificationTime();
      return Optional.of(new Holder("", "unknown", "unknown", "", 0, changed, changed));
    }
  }

  /**
   * Two jobs may find the same stale lease. Both rename it away, which succeeds for one; should the
   * second catch the new lease of the first instead, it puts it back.
   */
  private static void removeStale(
      Configuration configuration, Path file, Holder stale, Path folder, Duration expiry)
      throws IOException {
    FileSystem fileSystem = Storage.of(configuration, file);
    Path aside = new Path(folder, FILE + "." + UUID.randomUUID());
    try {
      if (!fileSystem.rename(file, aside)) {
        return;
      }
    } catch (FileNotFoundException e) {
      return;
    }
    Optional<Holder> moved = read(configuration, aside);
    if (moved.isPresent() && !moved.get().token.equals(stale.token)) {
      fileSystem.rename(aside, file);
      throw held(folder, moved.get(), expiry);
    }
    fileSystem.delete(aside, false);
  }

  private static void create(Configuration configuration, Path file, Holder holder)
      throws IOException {
    byte[] bytes = Json.pretty(holder);
    if (Storage.isLocal(configuration, file)) {
      // Hadoop's local file system looks and then creates; this is one step.
      Files.write(java.nio.file.Path.of(file.toUri()), bytes, StandardOpenOption.CREATE_NEW);
      return;
    }
    try (OutputStream out = Storage.of(configuration, file).create(file, false)) {
      out.write(bytes);
    }
  }

  private static LeaseHeldException held(Path folder, Holder holder, Duration expiry) {
    return new LeaseHeldException(
        message(
            "Cannot write to %s because %s is writing to it. Wait for its end; if it died, its lease expires after %s.",
            folder, holder.words(), expiry));
  }

  private static String host() {
    try {
      return InetAddress.getLocalHost().getHostName();
    } catch (UnknownHostException e) {
      return "unknown host";
    }
  }
}
