package io.github.kklip.launch;

import io.github.kklip.store.publication.PortableConfiguration;
import io.github.kklip.store.publication.Storage;
import java.io.IOException;
import java.io.Serializable;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * How the driver asks running ranks to stop in good order: a file in the run's folder, which all of
 * them reach on every platform. Its name is this run's, so that no old request stops a new run.
 */
final class StopFile implements Serializable, AutoCloseable {
  private static final long serialVersionUID = 1L;
  private static final Logger LOG = LoggerFactory.getLogger(StopFile.class);
  private static final int POLL_SECONDS = 2;

  private final String file;
  private final PortableConfiguration configuration;

  StopFile(Path folder, PortableConfiguration configuration) {
    this.file = new Path(folder, ".stop-" + UUID.randomUUID()).toString();
    this.configuration = configuration;
  }

  Configuration configuration() {
    return configuration.get();
  }

  /** Asks. */
  void write() {
    Path path = new Path(file);
    LOG.info("Asking the ranks to stop after their step");
    try {
      Storage.of(configuration(), path).create(path, true).close();
    } catch (IOException e) {
      LOG.error("Cannot ask the ranks to stop because {} cannot be written.", file, e);
    }
  }

  /** Looks for the request on a thread of its own until it is closed. */
  Poll poll(boolean active) {
    return new Poll(active);
  }

  /** Removes the request. */
  @Override
  public void close() throws IOException {
    Path path = new Path(file);
    Storage.of(configuration(), path).delete(path, false);
  }

  /** Whether the request is there. */
  final class Poll implements AutoCloseable {
    private final CountDownLatch ended = new CountDownLatch(1);
    private volatile boolean asked;

    private Poll(boolean active) {
      if (active) {
        Thread thread = new Thread(this::look, "kklip-stop-poll");
        thread.setDaemon(true);
        thread.start();
      }
    }

    private void look() {
      Path path = new Path(file);
      try {
        while (!asked && !ended.await(POLL_SECONDS, TimeUnit.SECONDS)) {
          try {
            asked = Storage.of(configuration(), path).exists(path);
          } catch (IOException e) {
            LOG.warn("Cannot look for a request to stop: {}", e.toString());
          }
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }

    boolean isAsked() {
      return asked;
    }

    @Override
    public void close() {
      ended.countDown();
    }
  }
}
