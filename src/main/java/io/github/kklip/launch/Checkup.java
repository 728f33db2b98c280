package io.github.kklip.launch;

import static io.github.kklip.config.Message.message;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.store.publication.NameEncoding;
import io.github.kklip.tasks.TaskPlace;
import io.github.kklip.tensor.HostMemory;
import io.github.kklip.tensor.Torch;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;
import org.apache.spark.TaskContext;

/**
 * What one process, the driver or an executor, has to compute with.
 *
 * @param where the driver, or an executor and its host
 * @param java version of the virtual machine
 * @param processors that the machine or container gives it
 * @param heapMb largest heap
 * @param memoryMb memory of the machine or container
 * @param libtorch its version; empty when it cannot be loaded
 * @param threads native threads of one task
 * @param device of a task here
 * @param gpus that libtorch sees
 * @param problems what is wrong, and what to do
 */
public record Checkup(
    String where,
    String java,
    int processors,
    long heapMb,
    long memoryMb,
    String libtorch,
    int threads,
    String device,
    int gpus,
    List<String> problems)
    implements Serializable {

  /** Looks at this process. */
  static Checkup here(String where, TaskPlace place) {
    List<String> problems = new ArrayList<>();
    int processors = Runtime.getRuntime().availableProcessors();
    long heap = Runtime.getRuntime().maxMemory() >> 20;
    long memory = HostMemory.total() >> 20;
    if (place.threads() > processors) {
      problems.add(
          message(
              "%s: a task uses %s native threads on %s processors, which slows it down many times over. Set kklip.threads, spark.executor.cores or spark.task.cpus.",
              where, place.threads(), processors));
    }
    if (heap > memory * 3 / 4) {
      problems.add(
          message(
              "%s: the heap may take %s of %s MB, and libtorch's memory lies outside of it. Set spark.executor.memory lower and spark.executor.memoryOverhead higher.",
              where, heap, memory));
    }
    NameEncoding.problem().ifPresent(problem -> problems.add(message("%s: %s", where, problem)));
    String libtorch = "";
    int gpus = 0;
    try {
      Torch.start(place.threads());
      libtorch = Torch.version();
      gpus = Torch.gpus();
      multiply(place.device());
    } catch (LinkageError | RuntimeException e) {
      problems.add(
          message(
              "%s: libtorch cannot compute on %s: %s. On a CPU cluster put the jar kklip-libtorch-cpu on the class path (--jars); on GPUs set PYTORCH_LIBRARY_PATH, PYTORCH_VERSION and PYTORCH_FLAVOR.",
              where, place.device(), e));
    }
    // The driver computes on its CPU, whatever the machine has.
    if (gpus > 0 && place.device().equals("cpu") && TaskContext.get() != null) {
      problems.add(
          message(
              "%s: libtorch sees %s GPUs, but Spark gives tasks none. Set spark.executor.resource.gpu.amount and spark.task.resource.gpu.amount = 1.",
              where, gpus));
    }
    return new Checkup(
        where,
        Runtime.version().toString(),
        processors,
        heap,
        memory,
        libtorch,
        place.threads(),
        place.device(),
        gpus,
        List.copyOf(problems));
  }

  /** Ones of 8 x 8 times themselves: 8 everywhere. */
  private static void multiply(String device) {
    try (NDManager manager = Torch.manager(Torch.device(device))) {
      NDArray ones = manager.ones(new Shape(8, 8));
      float sum = ones.matMul(ones).sum().toFloatArray()[0];
      if (sum != 512) {
        throw new IllegalStateException(message("8 x 8 x 8 ones sum to %s", sum));
      }
    }
  }

  @Override
  public String toString() {
    return message(
        "%s: Java %s, %s processors, heap %s of %s MB, libtorch %s, %s native threads on %s, %s GPUs",
        where,
        java,
        processors,
        heapMb,
        memoryMb,
        libtorch.isEmpty() ? "not loaded" : libtorch,
        threads,
        device,
        gpus);
  }
}
