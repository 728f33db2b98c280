package io.github.kklip.tasks;

import org.apache.spark.scheduler.AccumulableInfo;
import org.apache.spark.scheduler.SparkListenerExecutorMetricsUpdate;

/**
 * What Spark carries to the driver with the executors' heartbeats: the accumulators of tasks that
 * run, each as its task has it now.
 */
public final class LiveUpdates {
  /** Takes one accumulator of one task. */
  @FunctionalInterface
  public interface UpdateVisitor {
    void visit(int stage, long task, AccumulableInfo accumulator);
  }

  private LiveUpdates() {}

  public static void visit(SparkListenerExecutorMetricsUpdate event, UpdateVisitor visitor) {
    var tasks = event.accumUpdates().iterator();
    while (tasks.hasNext()) {
      var task = tasks.next();
      var accumulators = task._4().iterator();
      while (accumulators.hasNext()) {
        visitor.visit((Integer) task._2(), (Long) task._1(), accumulators.next());
      }
    }
  }
}
