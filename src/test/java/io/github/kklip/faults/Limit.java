package io.github.kklip.faults;

import java.lang.management.LockInfo;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadInfo;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;

/** Work that fails with the stacks of all threads when it does not end in time. */
final class Limit<T> {
  private final String what;
  private final FutureTask<T> task;
  private final Thread thread;

  private Limit(String what, Callable<T> work) {
    this.what = what;
    this.task = new FutureTask<>(work);
    this.thread = new Thread(task, what);
    thread.setDaemon(true);
  }

  /** Begins work in a thread of its own. */
  static <T> Limit<T> begin(String what, Callable<T> work) {
    Limit<T> begun = new Limit<>(what, work);
    begun.thread.start();
    return begun;
  }

  /**
   * What the work gives.
   *
   * @throws AssertionError when it takes longer; it is interrupted then
   */
  T within(Duration limit) throws Exception {
    try {
      return task.get(limit.toMillis(), TimeUnit.MILLISECONDS);
    } catch (TimeoutException e) {
      String threads = threads();
      thread.interrupt();
      throw new AssertionError(what + " has not ended within " + limit + threads, e);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof Error error) {
        throw error;
      }
      throw (Exception) e.getCause();
    }
  }

  /** The stacks of all threads, and what they wait for. */
  static String threads() {
    StringBuilder dump = new StringBuilder(". Threads:");
    ThreadInfo[] all = ManagementFactory.getThreadMXBean().dumpAllThreads(true, true);
    List<ThreadInfo> sorted =
        Stream.of(all).sorted(Comparator.comparing(ThreadInfo::getThreadName)).toList();
    for (ThreadInfo info : sorted) {
      dump.append("\n\n").append(info.getThreadName()).append(": ").append(info.getThreadState());
      if (info.getLockName() != null) {
        dump.append(" on ")
            .append(info.getLockName())
            .append(" of ")
            .append(info.getLockOwnerName());
      }
      for (LockInfo held : info.getLockedMonitors()) {
        dump.append(", holds ").append(held);
      }
      for (StackTraceElement frame : info.getStackTrace()) {
        dump.append("\n    ").append(frame);
      }
    }
    return dump.append('\n').toString();
  }
}
