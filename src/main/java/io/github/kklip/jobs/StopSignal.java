package io.github.kklip.jobs;

import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.function.Supplier;
import org.apache.hadoop.util.ShutdownHookManager;

/**
 * SIGTERM, SIGINT and SIGHUP as a request that a job can follow. The virtual machine begins its end
 * at once; a hook holds that end up, before Spark's own hooks, until the job has reported its end
 * or the time is over. Meanwhile work that follows the request ends by itself, and of other work
 * Spark's jobs are cancelled and the job's thread is interrupted.
 *
 * <p>A virtual machine that a signal ends has the signal's own exit status, whatever the job came
 * to. A second hook, after all others, ends it with the status that was told.
 */
final class StopSignal implements AutoCloseable {
  /** Above Spark's hooks, which stop the session. */
  private static final int PRIORITY = 1000;

  /** Below Spark's hooks and those of the file systems. */
  private static final int LAST = 1;

  /** For work that follows the request. */
  private static final long LONGEST_SECONDS = TimeUnit.MINUTES.toSeconds(10);

  /** For other work: what is not at its end then is native and hears nothing. */
  private static final long OTHER_SECONDS = 20;

  /** What is cancelled mostly ends by itself; an interrupt in the midst of that only disturbs. */
  private static final long INTERRUPT_SECONDS = 5;

  private final CompletableFuture<Void> request = new CompletableFuture<>();
  private final CountDownLatch ended = new CountDownLatch(1);
  private final Runnable hook = this::holdUp;
  private final Runnable last = this::exitAsTold;
  private final Thread job = Thread.currentThread();
  private final Supplier<OptionalInt> overdue;
  private final Function<String, OptionalInt> exited;
  private volatile OptionalInt told = OptionalInt.empty();
  private Runnable cancel = () -> {};
  private boolean settled;
  private volatile boolean followed;

  /**
   * A signal to the job of this thread.
   *
   * @param overdue tells that the job has not ended in time, before the process goes; gives the
   *     exit status, empty where the process is somebody else's
   * @param exited tells that the job's own thread has called {@code System.exit} in the class of
   *     this name, as Spark does without a folder for its blocks; gives the exit status likewise
   */
  StopSignal(Supplier<OptionalInt> overdue, Function<String, OptionalInt> exited) {
    this.overdue = overdue;
    this.exited = exited;
    ShutdownHookManager.get()
        .addShutdownHook(hook, PRIORITY, 2 * LONGEST_SECONDS, TimeUnit.SECONDS);
    ShutdownHookManager.get().addShutdownHook(last, LAST);
  }

  /** Work that ends early, in good order, when the request comes. */
  interface StoppableWork<T> {
    T run(CompletableFuture<Void> request) throws Exception;
  }

  /** Does work that follows the request. */
  <T> T follow(StoppableWork<T> work) throws Exception {
    check();
    followed = true;
    try {
      return work.run(request);
    } finally {
      followed = false;
    }
  }

  boolean isRequested() {
    return request.isDone();
  }

  /** Ends the job here when the request has come. */
  void check() throws StoppedException {
    if (isRequested()) {
      throw new StoppedException();
    }
  }

  /** How to cancel what runs; called again until the job ends. */
  synchronized void onRequest(Runnable cancellation) {
    cancel = cancellation;
  }

  /** The job's work is over: from here on it is neither cancelled nor interrupted. */
  synchronized void settle() {
    settled = true;
    boolean unused = Thread.interrupted();
  }

  private void holdUp() {
    Optional<String> exiting = exiting(job.getStackTrace());
    if (exiting.isPresent()) {
      // The job waits for this hook, and comes to no other end.
      told = exited.apply(exiting.get());
      return;
    }
    request.complete(null);
    long start = System.nanoTime();
    try {
      boolean over = false;
      while (!over && !ended.await(200, TimeUnit.MILLISECONDS)) {
        long seconds = TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - start);
        over = seconds >= (followed ? LONGEST_SECONDS : OTHER_SECONDS);
        if (!followed) {
          disturb(seconds >= INTERRUPT_SECONDS);
        }
      }
      if (over) {
        told = overdue.get();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** The class that called {@code System.exit}; empty when the thread is not in there. */
  static Optional<String> exiting(StackTraceElement[] stack) {
    Optional<String> caller = Optional.empty();
    boolean inside = false;
    for (StackTraceElement frame : stack) {
      boolean exit =
          frame.getMethodName().equals("exit")
              && List.of("java.lang.Runtime", "java.lang.System").contains(frame.getClassName());
      if (inside && !exit && caller.isEmpty()) {
        caller = Optional.of(frame.getClassName());
      }
      inside |= exit;
    }
    return caller;
  }

  /** The exit status that the job's end was told with: that of the process, also after a signal. */
  int exits(int status) {
    told = OptionalInt.of(status);
    return status;
  }

  private void exitAsTold() {
    told.ifPresent(Runtime.getRuntime()::halt);
  }

  private synchronized void disturb(boolean interrupt) {
    if (settled) {
      return;
    }
    try {
      cancel.run();
    } catch (RuntimeException e) {
      // The session is on its way down: there is nothing left to cancel.
      cancel = () -> {};
    }
    if (interrupt) {
      job.interrupt();
    }
  }

  /** The job has reported its end: the process may go. */
  @Override
  public void close() {
    ended.countDown();
    if (!ShutdownHookManager.get().isShutdownInProgress()) {
      ShutdownHookManager.get().removeShutdownHook(hook);
      ShutdownHookManager.get().removeShutdownHook(last);
    }
  }
}
