package io.github.kklip.jobs;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.util.ShutdownHookManager;

/**
 * SIGTERM as a request that a job can follow. The virtual machine begins its end at once; while a
 * job follows the request, the hook holds that end up, before Spark's own hooks, until the job has
 * reported its end or the time is over.
 */
final class StopSignal implements AutoCloseable {
  /** Above Spark's hooks, which stop the session. */
  private static final int PRIORITY = 1000;

  private static final long LONGEST_MINUTES = 10;

  private final CompletableFuture<Void> request = new CompletableFuture<>();
  private final CountDownLatch jobEnded = new CountDownLatch(1);
  private final Runnable hook = this::holdUp;
  private volatile boolean followed;

  StopSignal() {
    ShutdownHookManager.get().addShutdownHook(hook, PRIORITY, LONGEST_MINUTES, TimeUnit.MINUTES);
  }

  /** Work that ends early, in good order, when the request comes. */
  interface Work<T> {
    T run(CompletableFuture<Void> request) throws Exception;
  }

  /** Does work that follows the request. Other work ends with the process. */
  <T> T follow(Work<T> work) throws Exception {
    followed = true;
    try {
      return work.run(request);
    } finally {
      followed = false;
    }
  }

  private void holdUp() {
    if (!followed) {
      return;
    }
    request.complete(null);
    try {
      boolean unused = jobEnded.await(LONGEST_MINUTES, TimeUnit.MINUTES);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** The job has reported its end: the process may go. */
  @Override
  public void close() {
    jobEnded.countDown();
    if (!ShutdownHookManager.get().isShutdownInProgress()) {
      ShutdownHookManager.get().removeShutdownHook(hook);
    }
  }
}
