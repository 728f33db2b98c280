package io.github.kklip.faults;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.PriorityQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/**
 * A clock that passes only while all who wait for it sleep. It runs tasks in threads of their own,
 * one at a time: who sleeps hands on to the one that wakes first. The same tasks therefore take the
 * same turns in every run, and a sleep of an hour costs microseconds.
 *
 * <p>A task must not hold a monitor while it sleeps that another task wants: nobody would run.
 */
public final class VirtualClock implements FaultClock {
  /** Of the machine's time: the tasks' own passes at once. */
  private static final Duration LIMIT = Duration.ofMinutes(2);

  private record Sleeper(long wake, long turn, Semaphore baton) {}

  private final PriorityQueue<Sleeper> sleepers =
      new PriorityQueue<>(Comparator.comparingLong(Sleeper::wake).thenComparing(Sleeper::turn));
  private final ThreadLocal<Boolean> member = ThreadLocal.withInitial(() -> false);
  private final Semaphore ended = new Semaphore(0);
  private long now;
  private long turns;

  @Override
  public synchronized long nanos() {
    return now;
  }

  /** Waits; a thread that is no task of this clock only moves the time on. */
  @Override
  public void sleep(Duration duration) {
    long nanos = Math.max(0, duration.toNanos());
    if (!member.get()) {
      synchronized (this) {
        now += nanos;
      }
      return;
    }
    Semaphore baton = new Semaphore(0);
    enter(nanos, baton);
    next();
    baton.acquireUninterruptibly();
  }

  /** Another task beside those that run; to be called by one of them. */
  public void start(Runnable task) {
    Semaphore baton = new Semaphore(0);
    enter(0, baton);
    Thread thread =
        new Thread(
            () -> {
              baton.acquireUninterruptibly();
              member.set(true);
              try {
                task.run();
              } finally {
                next();
              }
            },
            "virtual clock");
    thread.setDaemon(true);
    thread.start();
  }

  /** Runs tasks side by side until all, and those that they start, have ended. */
  public <T> List<T> run(List<? extends Callable<? extends T>> tasks) throws Exception {
    List<T> results = new ArrayList<>();
    List<Throwable> failures = new ArrayList<>();
    for (int i = 0; i < tasks.size(); i++) {
      results.add(null);
      int index = i;
      start(
          () -> {
            try {
              T result = tasks.get(index).call();
              synchronized (results) {
                results.set(index, result);
              }
            } catch (Throwable e) {
              synchronized (results) {
                failures.add(e);
              }
            }
          });
    }
    next();
    if (!ended.tryAcquire(LIMIT.toSeconds(), TimeUnit.SECONDS)) {
      throw new AssertionError("The tasks have not ended within " + LIMIT + Limit.threads());
    }
    synchronized (results) {
      if (!failures.isEmpty()) {
        Throwable first = failures.get(0);
        failures.subList(1, failures.size()).forEach(first::addSuppressed);
        if (first instanceof Error error) {
          throw error;
        }
        throw (Exception) first;
      }
      return results;
    }
  }

  private synchronized void enter(long nanos, Semaphore baton) {
    sleepers.add(new Sleeper(now + nanos, turns++, baton));
  }

  private void next() {
    Semaphore baton;
    synchronized (this) {
      Sleeper first = sleepers.poll();
      if (first != null) {
        now = Math.max(now, first.wake);
      }
      baton = first == null ? ended : first.baton;
    }
    baton.release();
  }
}
