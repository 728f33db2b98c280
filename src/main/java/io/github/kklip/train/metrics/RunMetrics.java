package io.github.kklip.train.metrics;

import static io.github.kklip.config.Message.message;

import io.github.kklip.comms.Collective;
import io.github.kklip.comms.transport.CollectiveException;
import io.github.kklip.train.plan.TrainPlan;
import java.io.IOException;
import java.time.Duration;
import java.util.SortedMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.hadoop.conf.Configuration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where rank 0 writes what it reports: {@link MetricsLog}, {@link EventFile}, and {@link MlflowRun}
 * when a server is set. Files are published anew at most every ten seconds, before a checkpoint is
 * whole (so that a run that goes on from it has lost no line), and at the end; on a thread of its
 * own, one after the other.
 */
public final class RunMetrics implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(RunMetrics.class);
  private static final long INTERVAL = TimeUnit.SECONDS.toNanos(10);

  private final Collective collective;
  private final MetricsLog lines;
  private final EventFile events;
  private final MlflowRun mlflow;
  private final Duration timeout;
  private final ExecutorService thread =
      Executors.newSingleThreadExecutor(
          task -> {
            Thread worker = new Thread(task, "kklip-metrics");
            worker.setDaemon(true);
            return worker;
          });
  private Future<Void> publishing = CompletableFuture.completedFuture(null);
  private long published = System.nanoTime();
  private boolean changed;

  /**
   * Goes on with the run in the plan's output.
   *
   * @param collective must be whole when files are published
   * @param step what an earlier attempt told of later steps is dropped
   */
  public RunMetrics(TrainPlan plan, Collective collective, Configuration configuration, long step)
      throws IOException {
    this.collective = collective;
    timeout = plan.settings().train().comms().stepTimeout();
    String output = plan.settings().train().output();
    lines = MetricsLog.open(output, configuration, step);
    events = new EventFile(output, configuration, System.currentTimeMillis(), step);
    mlflow =
        plan.tracking().uri().isEmpty()
            ? null
            : new MlflowRun(plan.tracking(), collective, output, plan.identity());
  }

  public void add(StepReport report) throws IOException {
    long now = System.currentTimeMillis();
    SortedMap<String, Double> values = report.values();
    lines.add(report);
    events.add(now / 1e3, report.step(), values);
    if (mlflow != null) {
      mlflow.add(now, report.step(), values);
    }
    changed = true;
    if (publishing.isDone()) {
      await();
      if (System.nanoTime() - published > INTERVAL) {
        publish();
      }
    }
  }

  /** Starts to publish all that was added; done when it is there. */
  public Future<Void> publication() {
    publish();
    return publishing;
  }

  private void publish() {
    byte[] newLines = lines.bytes();
    byte[] newEvents = events.bytes();
    publishing =
        thread.submit(
            () -> {
              // A rank that was stopped and continued must not overwrite what its heirs wrote.
              collective.check();
              lines.publish(newLines);
              collective.check();
              events.publish(newEvents);
              return null;
            });
    published = System.nanoTime();
    changed = false;
  }

  private void await() throws IOException {
    try {
      publishing.get(timeout.toMillis(), TimeUnit.MILLISECONDS);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof CollectiveException ended) {
        throw ended;
      }
      throw failure(e.getCause().toString(), e.getCause());
    } catch (TimeoutException e) {
      throw failure(message("they were not written after %s", timeout), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw failure("the thread was interrupted", e);
    }
  }

  private static IOException failure(String why, Throwable cause) {
    return new IOException(
        message(
            "Cannot write the metrics because of this: %s. Check train.output and its space.", why),
        cause);
  }

  /** The loop has ended without a failure. */
  public void finish(boolean complete) {
    if (mlflow != null) {
      mlflow.finish(complete);
    }
  }

  @Override
  public void close() throws IOException {
    try {
      if (changed) {
        publish();
      }
      await();
    } catch (CollectiveException e) {
      LOG.debug("The last metrics are left to those who go on: {}", e.getMessage());
    } finally {
      thread.shutdown();
      if (mlflow != null) {
        mlflow.close();
      }
    }
  }
}
