package io.github.kklip.tasks;

import static io.github.kklip.config.Message.message;

import java.io.Serializable;
import java.util.List;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.JavaSparkContext;

/** Runs a function once for each item, mostly a shard, each in a Spark task of its own. */
public final class ShardTasks {
  /** What is done with one item, on an executor. Spark runs it again when it fails. */
  @FunctionalInterface
  public interface Task<T, R> extends Serializable {
    R run(T item, TaskPlace place) throws Exception;
  }

  private ShardTasks() {}

  /**
   * Runs the tasks and waits for all of them.
   *
   * @param description shown in Spark's UI and in errors
   * @param threads native threads of one task; 0: the cores that Spark gives it
   * @param items serializable
   * @return what the tasks returned, in the order of the items
   * @throws IllegalStateException when a task failed as often as Spark tries, with its last cause
   */
  public static <T, R> List<R> run(
      JavaSparkContext spark, String description, int threads, List<T> items, Task<T, R> task) {
    if (items.isEmpty()) {
      return List.of();
    }
    String before = spark.getLocalProperty("spark.job.description");
    spark.setJobDescription(description);
    try {
      return spark
          .parallelize(items, items.size())
          .map(item -> task.run(item, TaskPlace.of(TaskContext.get(), threads)))
          .collect();
    } catch (Exception e) {
      throw new IllegalStateException(
          message(
              "Cannot finish %s because a task failed: %s", description, SparkFailures.message(e)),
          e);
    } finally {
      spark.setLocalProperty("spark.job.description", before);
    }
  }
}
