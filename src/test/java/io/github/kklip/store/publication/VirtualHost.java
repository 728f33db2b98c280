package io.github.kklip.store.publication;

import io.github.kklip.faults.VirtualClock;
import java.time.Duration;
import java.time.Instant;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** A process on a machine, both made up. */
public final class VirtualHost implements LeaseHost {
  private final VirtualClock clock;
  private final String name;
  private final long pid;

  /** Processes of the machine that are gone. */
  private final Set<Long> killed;

  private Duration ahead = Duration.ZERO;
  private long rate = 1;

  public VirtualHost(VirtualClock clock, String name, long pid) {
    this(clock, name, pid, ConcurrentHashMap.newKeySet());
  }

  private VirtualHost(VirtualClock clock, String name, long pid, Set<Long> killed) {
    this.clock = clock;
    this.name = name;
    this.pid = pid;
    this.killed = killed;
  }

  /** Another process on the same machine. */
  VirtualHost beside(long otherPid) {
    return new VirtualHost(clock, name, otherPid, killed);
  }

  /** Its time of day is wrong by that. */
  VirtualHost ahead(Duration by) {
    ahead = by;
    return this;
  }

  /** Its monotonic clock is broken. */
  VirtualHost twiceAsFast() {
    rate = 2;
    return this;
  }

  void kill() {
    killed.add(pid);
  }

  @Override
  public long nanos() {
    // Each process counts from a time of its own.
    return clock.nanos() * rate + pid * 1_000_000_007L;
  }

  @Override
  public void sleep(Duration duration) {
    clock.sleep(duration.dividedBy(rate));
  }

  @Override
  public Instant now() {
    return Instant.parse("2026-01-01T00:00:00Z").plusNanos(clock.nanos()).plus(ahead);
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public String processes() {
    return "boot of " + name;
  }

  @Override
  public long pid() {
    return pid;
  }

  @Override
  public boolean isAlive(long other) {
    return !killed.contains(other);
  }

  @Override
  public OptionalLong uptime() {
    return OptionalLong.of(clock.nanos() / 1_000_000 + 5_000_000);
  }
}
