package io.github.kklip.tasks;

import java.util.Optional;
import org.apache.spark.SparkConf;
import org.apache.spark.TaskContext;
import org.apache.spark.resource.ResourceInformation;

/**
 * Where a task computes.
 *
 * @param device {@code cpu}, or {@code cuda:N} where Spark assigned a GPU
 * @param threads native threads that are the task's own
 */
public record TaskPlace(String device, int threads) {
  /** Spark's name for GPUs as a resource. */
  public static final String GPU = "gpu";

  /** Spark's setting of the GPUs of one task. */
  public static final String GPUS_PER_TASK = "spark.task.resource.gpu.amount";

  private static final String CUDA = "cuda:";

  /**
   * The place of the running task.
   *
   * @param threads the setting; 0 stands for the cores that Spark gives the task
   */
  public static TaskPlace of(TaskContext context, int threads) {
    return new TaskPlace(
        gpu(context).map(address -> CUDA + address).orElse("cpu"),
        threads > 0 ? threads : context.cpus());
  }

  /** The number of the GPU; -1 on the CPU. */
  public int gpu() {
    return device.startsWith(CUDA) ? Integer.parseInt(device.substring(CUDA.length())) : -1;
  }

  /** Whether a session's tasks or executors are to have GPUs. */
  public static boolean asksForGpus(SparkConf conf) {
    return conf.contains(GPUS_PER_TASK) || conf.contains("spark.executor.resource.gpu.amount");
  }

  private static Optional<String> gpu(TaskContext context) {
    ResourceInformation gpu = context.resourcesJMap().get(GPU);
    return gpu == null || gpu.addresses().length == 0
        ? Optional.empty()
        : Optional.of(gpu.addresses()[0]);
  }
}
