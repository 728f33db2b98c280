package io.github.kklip.comms.transport;

import java.io.Closeable;
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Ends of connections and threads that must not hide the failure that led to them. */
public final class Closing {
  private static final Logger LOG = LoggerFactory.getLogger(Closing.class);

  private Closing() {}

  /** Closes what is there; a failure to close is only logged. */
  public static void quietly(Closeable closeable) {
    if (closeable != null) {
      try {
        closeable.close();
      } catch (IOException e) {
        LOG.debug("Cannot close {}: {}", closeable, e.toString());
      }
    }
  }

  public static Thread daemon(String name, Runnable body) {
    Thread thread = new Thread(body, name);
    thread.setDaemon(true);
    thread.start();
    return thread;
  }

  /** Waits for the end of a thread, also when interrupted, but not for ever. */
  public static void join(Thread thread, Duration limit) {
    long deadline = System.nanoTime() + limit.toNanos();
    boolean interrupted = false;
    for (long left = limit.toNanos(); thread.isAlive() && left > 0; ) {
      try {
        TimeUnit.NANOSECONDS.timedJoin(thread, left);
      } catch (InterruptedException e) {
        interrupted = true;
      }
      left = deadline - System.nanoTime();
    }
    if (thread.isAlive()) {
      LOG.warn("Thread {} did not end within {} s.", thread.getName(), limit.toSeconds());
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
