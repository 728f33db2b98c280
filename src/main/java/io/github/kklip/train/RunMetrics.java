package io.github.kklip.train;

import io.github.kklip.comms.Collective;
import io.github.kklip.comms.CollectiveException;
import java.io.IOException;
import java.util.SortedMap;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.conf.Configuration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where rank 0 writes what it reports: {@link MetricsLog}, {@link EventFile}, and {@link MlflowRun}
 * when a server is set. Files are published anew at most every ten seconds, and at the end.
 */
final class RunMetrics implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(RunMetrics.class);
  private static final long INTERVAL = TimeUnit.SECONDS.toNanos(10);

  private final Collective collective;
  private final MetricsLog lines;
  private final EventFile events;
  private final MlflowRun mlflow;
  private long published = System.nanoTime();
  private boolean changed;

  /**
   * Goes on with the run in the plan's output.
   *
   * @param collective must be whole when files are published
   * @param step what an earlier attempt told of later steps is dropped
   */
  RunMetrics(TrainPlan plan, Collective collective, Configuration configuration, long step)
      throws IOException {
    this.collective = collective;
    String output = plan.settings().train().output();
    lines = MetricsLog.open(output, configuration, step);
    events = new EventFile(output, configuration, System.currentTimeMillis(), step);
    mlflow =
        plan.tracking().uri().isEmpty()
            ? null
            : new MlflowRun(plan.tracking(), collective, output, plan.identity());
  }

  void add(StepReport report) throws IOException {
    long now = System.currentTimeMillis();
    SortedMap<String, Double> values = report.values();
    lines.add(report);
    events.add(now / 1e3, report.step(), values);
    if (mlflow != null) {
      mlflow.add(now, report.step(), values);
    }
    changed = true;
    if (System.nanoTime() - published > INTERVAL) {
      publish();
    }
  }

  private void publish() throws IOException {
    // A rank that was stopped and continued must not overwrite what its heirs have written.
    collective.check();
    lines.publish();
    events.publish();
    published = System.nanoTime();
    changed = false;
  }

  /** The loop has ended without a failure. */
  void finish(boolean complete) {
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
    } catch (CollectiveException e) {
      LOG.debug("The last metrics are left to those who go on: {}", e.getMessage());
    } finally {
      if (mlflow != null) {
        mlflow.close();
      }
    }
  }
}
