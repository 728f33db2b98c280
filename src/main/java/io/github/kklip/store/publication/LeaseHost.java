package io.github.kklip.store.publication;

import static io.github.kklip.config.Message.message;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.OptionalLong;

/** What a lease asks of the machine and the process that it is taken by. Tests have their own. */
public interface LeaseHost {
  /** A clock of this process that never goes back. */
  long nanos();

  /** Waits by that clock. */
  void sleep(Duration duration) throws IOException;

  /** The time of day, for people alone: nothing depends on it. */
  Instant now();

  /** The name of the machine. */
  String name();

  /** Where a process id counts: the machine's boot and its namespace of processes; may be empty. */
  String processes();

  /** This process. */
  long pid();

  /** Whether there is a process of that id. */
  boolean isAlive(long pid);

  /** Milliseconds since the machine started, the same for all its processes; empty: not known. */
  OptionalLong uptime();

  /** The process that this runs in. */
  LeaseHost THIS =
      new LeaseHost() {
        @Override
        public long nanos() {
          return System.nanoTime();
        }

        @Override
        public void sleep(Duration duration) throws IOException {
          try {
            Thread.sleep(duration.toMillis());
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("Interrupted while waiting for a lease");
          }
        }

        @Override
        public Instant now() {
          return Instant.now();
        }

        @Override
        public String name() {
          try {
            return InetAddress.getLocalHost().getHostName();
          } catch (UnknownHostException e) {
            return "unknown host";
          }
        }

        @Override
        public String processes() {
          try {
            return message(
                "%s %s",
                Files.readString(Path.of("/proc/sys/kernel/random/boot_id")).trim(),
                Files.readSymbolicLink(Path.of("/proc/self/ns/pid")));
          } catch (IOException | UnsupportedOperationException e) {
            return ""; // Not Linux: only watching tells.
          }
        }

        @Override
        public long pid() {
          return ProcessHandle.current().pid();
        }

        @Override
        public boolean isAlive(long pid) {
          return ProcessHandle.of(pid).filter(ProcessHandle::isAlive).isPresent();
        }

        @Override
        public OptionalLong uptime() {
          try {
            String seconds = Files.readString(Path.of("/proc/uptime")).split(" ", 2)[0];
            return OptionalLong.of((long) (Double.parseDouble(seconds) * 1000));
          } catch (IOException | NumberFormatException e) {
            return OptionalLong.empty();
          }
        }
      };
}
