package io.github.kklip.tasks;

import io.github.kklip.progress.Counts;
import io.github.kklip.progress.Progress;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.apache.spark.Success$;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.scheduler.AccumulableInfo;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerExecutorMetricsUpdate;
import org.apache.spark.scheduler.SparkListenerTaskEnd;

/**
 * The progress of a stage whose work is done by Spark tasks. They count; heartbeats carry the
 * counts of tasks that run, so that a stage of few long tasks is told of within them, too.
 *
 * <pre>{@code
 * try (TaskProgress progress = TaskProgress.begin(spark, Progress.of("embed", "captions"))) {
 *   TaskCounts counts = progress.counts();
 *   rdd.foreach(shard -> counts.done(shard.rows()));
 *   progress.done();
 * }
 * }</pre>
 */
public final class TaskProgress implements AutoCloseable {
  private final JavaSparkContext spark;
  private final Progress progress;
  private final TaskCounts counts = new TaskCounts();
  private final Watch watch = new Watch();

  private TaskProgress(JavaSparkContext spark, Progress progress) {
    this.spark = spark;
    this.progress = progress;
    // Spark tells of the named ones alone when a task ends.
    spark.sc().register(counts, progress.name() + ": " + progress.unit());
    spark.sc().addSparkListener(watch);
  }

  /** Begins the stage. */
  public static TaskProgress begin(JavaSparkContext spark, Progress.Plan plan) {
    return new TaskProgress(spark, plan.begin());
  }

  /** What the tasks count with. */
  public TaskCounts counts() {
    return counts;
  }

  /** Counts units that an earlier run did. Called on the driver, before the tasks run. */
  public void doneBefore(long units) {
    if (units > 0) {
      counts.doneBefore(units);
      watch.start(counts.value());
    }
  }

  /** All tasks have ended well. */
  public void done() {
    // The listeners may not have heard of the last tasks yet; the accumulator has.
    watch.end();
    spark.sc().removeSparkListener(watch);
    progress.set(counts.value());
    progress.done();
  }

  @Override
  public void close() {
    watch.end();
    spark.sc().removeSparkListener(watch);
    progress.close();
  }

  private final class Watch extends SparkListener {
    /** By task, what those have done that run. */
    private final Map<Long, Counts> running = new HashMap<>();

    /** Tasks that have ended: a heartbeat may come later than their end. */
    private final Set<Long> ended = new HashSet<>();

    private Counts whole = Counts.NONE;
    private boolean over;

    @Override
    public synchronized void onExecutorMetricsUpdate(SparkListenerExecutorMetricsUpdate event) {
      LiveUpdates.visit(event, (stage, task, accumulator) -> running(task, accumulator));
      tell();
    }

    private void running(long task, AccumulableInfo accumulator) {
      if (accumulator.id() == counts.id()
          && accumulator.update().isDefined()
          && accumulator.update().get() instanceof Counts now
          && !ended.contains(task)) {
        running.put(task, now);
      }
    }

    @Override
    public synchronized void onTaskEnd(SparkListenerTaskEnd event) {
      long task = event.taskInfo().taskId();
      boolean known = running.remove(task) != null;
      var accumulators = event.taskInfo().accumulables().iterator();
      while (accumulators.hasNext()) {
        AccumulableInfo accumulator = accumulators.next();
        if (accumulator.id() == counts.id()) {
          known = true;
          if (event.reason().equals(Success$.MODULE$)
              && accumulator.update().isDefined()
              && accumulator.update().get() instanceof Counts last) {
            whole = whole.plus(last);
          }
        }
      }
      if (known) {
        ended.add(task);
        tell();
      }
    }

    synchronized void start(Counts before) {
      whole = before;
      tell();
    }

    private void tell() {
      Counts sum = whole;
      for (Counts part : running.values()) {
        sum = sum.plus(part);
      }
      if (!over && !sum.equals(Counts.NONE)) {
        progress.set(sum);
      }
    }

    synchronized void end() {
      over = true;
    }
  }
}
