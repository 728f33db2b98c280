package io.github.kklip.store.publication;

import static io.github.kklip.config.Message.message;

import java.time.Duration;
import java.util.List;

/**
 * What one who wants a folder, or has it, writes into a file of its own.
 *
 * @param token its own, random
 * @param processes where {@code pid} counts ({@link LeaseHost#processes})
 * @param since when it began, for people
 * @param expiry milliseconds without a new heartbeat after which it gives the folder up by itself
 * @param heartbeat 0: it asks for the folder; from 1 on: it has the folder
 * @param uptime of the machine when this heartbeat was written ({@link LeaseHost#uptime}); -1: not
 *     known
 * @param takes tokens of the claims that it takes the folder over from
 */
record LeaseClaim(
    String token,
    String job,
    String host,
    String processes,
    long pid,
    String since,
    long expiry,
    long heartbeat,
    long uptime,
    List<String> takes) {

  /** A claim whose file cannot be read: only its name tells something. */
  static LeaseClaim unreadable(String token, long heartbeat, Duration expiry) {
    return new LeaseClaim(
        token, "unknown", "unknown", "", 0, "unknown", expiry.toMillis(), heartbeat, -1, List.of());
  }

  LeaseClaim beat(long number, long machineUptime) {
    return new LeaseClaim(
        token, job, host, processes, pid, since, expiry, number, machineUptime, takes);
  }

  boolean holds() {
    return heartbeat > 0;
  }

  /** Whether it is of a process on that machine, by which its process and uptime can be judged. */
  private boolean isBeside(LeaseHost machine) {
    return !processes.isEmpty() && processes.equals(machine.processes());
  }

  /** Whether its process would be seen from there, and is not there. */
  boolean hasDied(LeaseHost machine) {
    return isBeside(machine) && !machine.isAlive(pid);
  }

  /** Whether it is seen from there that it had a heartbeat within its expiry. */
  boolean isFresh(LeaseHost machine) {
    return isBeside(machine)
        && machine.isAlive(pid)
        && uptime >= 0
        && machine.uptime().isPresent()
        && machine.uptime().getAsLong() - uptime < expiry;
  }

  String words() {
    return message("the job %s on %s (process %s, started %s)", job, host, pid, since);
  }
}
