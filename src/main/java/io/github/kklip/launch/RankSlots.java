package io.github.kklip.launch;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.SettingsException;
import io.github.kklip.tasks.TaskPlace;
import java.time.Duration;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.spark.SparkConf;
import org.apache.spark.SparkContext;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerExecutorAdded;
import org.apache.spark.status.api.v1.ExecutorSummary;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where ranks can run: one for each GPU when Spark gives tasks GPUs, else one for each executor,
 * since ranks on CPU use all cores of their process.
 *
 * @param found ranks that fit on the executors that are there
 * @param cpusPerRank what a task must ask for so that no two share an executor, and in local mode
 *     what the only rank has; 0: nothing
 * @param gpusPerRank GPUs that a task must ask for, where executors have some that Spark's settings
 *     give to no task; 0: nothing
 * @param description what was found, for messages
 */
record RankSlots(int found, int cpusPerRank, int gpusPerRank, String description) {
  private static final Logger LOG = LoggerFactory.getLogger(RankSlots.class);

  /**
   * Waits until the executors are there.
   *
   * @throws SettingsException when the set-up can never run the ranks
   * @throws IllegalStateException when there are too few slots when the time is over
   */
  static RankSlots await(SparkContext spark, int ranks, Duration limit) {
    refuseWhatCannotWork(spark.conf(), ranks);
    LinkedBlockingQueue<String> added = new LinkedBlockingQueue<>();
    SparkListener listener =
        new SparkListener() {
          @Override
          public void onExecutorAdded(SparkListenerExecutorAdded event) {
            added.add(event.executorId());
          }
        };
    spark.addSparkListener(listener);
    try {
      long deadline = System.nanoTime() + limit.toNanos();
      boolean said = false;
      while (true) {
        RankSlots slots = now(spark, ranks);
        if (slots.found >= ranks) {
          return slots;
        }
        long left = deadline - System.nanoTime();
        if (left <= 0) {
          throw new IllegalStateException(tooFew(slots, ranks, limit));
        }
        if (!said) {
          said = true;
          LOG.info("Waiting for executors: {} ranks, {}.", ranks, slots.description);
        }
        // An executor is announced a little before it counts: look again soon all the same.
        added.poll(Math.min(left, TimeUnit.MILLISECONDS.toNanos(500)), TimeUnit.NANOSECONDS);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(
          "Cannot start the ranks because the wait for executors was interrupted.", e);
    } finally {
      spark.removeSparkListener(listener);
    }
  }

  static String tooFew(RankSlots slots, int ranks, Duration limit) {
    return message(
        "Cannot start %s ranks because the cluster has room for %s after train.rendezvous-timeout = %s s: %s. Give the application more executors (spark.executor.instances, spark.cores.max) or set train.ranks lower.",
        ranks, slots.found, limit.toSeconds(), slots.description);
  }

  static RankSlots now(SparkContext spark, int ranks) {
    SparkConf conf = spark.conf();
    int cpus = conf.getInt("spark.task.cpus", 1);
    List<ExecutorSummary> executors =
        Arrays.stream(array(spark))
            .filter(ExecutorSummary::isActive)
            .filter(e -> isLocal(conf) || !e.id().equals("driver"))
            .toList();
    int gpus = executors.stream().mapToInt(RankSlots::gpus).sum();
    boolean asked = conf.contains(TaskPlace.GPUS_PER_TASK);
    if (asked || gpus > 0) {
      int gpusPerTask = (int) Math.ceil(conf.getDouble(TaskPlace.GPUS_PER_TASK, 1));
      int slots =
          executors.stream()
              .mapToInt(e -> Math.min(gpus(e) / gpusPerTask, e.totalCores() / cpus))
              .sum();
      return new RankSlots(
          slots,
          0,
          asked ? 0 : gpusPerTask,
          executors.size() + " executors with " + gpus + " GPUs");
    }
    List<Integer> cores =
        executors.stream()
            .map(ExecutorSummary::totalCores)
            .filter(c -> c >= cpus)
            .sorted(Comparator.reverseOrder())
            .toList();
    // The most that as many executors as there are ranks can give.
    int most = cores.isEmpty() ? 0 : cores.get(Math.min(ranks, cores.size()) - 1);
    return new RankSlots(
        cores.size(),
        most > cpus ? most : 0,
        0,
        executors.size() + " executors with " + cores + " cores, one rank each");
  }

  private static ExecutorSummary[] array(SparkContext spark) {
    scala.collection.Iterator<ExecutorSummary> all =
        spark.statusStore().executorList(true).iterator();
    List<ExecutorSummary> list = new java.util.ArrayList<>();
    while (all.hasNext()) {
      list.add(all.next());
    }
    return list.toArray(ExecutorSummary[]::new);
  }

  private static int gpus(ExecutorSummary executor) {
    return executor.resources().contains(TaskPlace.GPU)
        ? executor.resources().apply(TaskPlace.GPU).addresses().length
        : 0;
  }

  /** Whether all tasks run in the driver's process, where Spark knows no resource profiles. */
  static boolean isLocal(SparkConf conf) {
    String master = conf.get("spark.master", "");
    return master.startsWith("local") && !master.startsWith("local-cluster");
  }

  static void refuseWhatCannotWork(SparkConf conf, int ranks) {
    if (conf.getBoolean("spark.dynamicAllocation.enabled", false)) {
      throw new SettingsException(
          message(
              "Cannot train with spark.dynamicAllocation.enabled = true because all ranks must start together. Set it to false and spark.executor.instances = %s.",
              ranks));
    }
    if (isLocal(conf) && ranks > 1) {
      throw new SettingsException(
          message(
              "Cannot run %s ranks with the master %s because all its tasks share one process. Use local-cluster[N,CORES,MB], which the launcher does by itself, or train.ranks = 1.",
              ranks, conf.get("spark.master")));
    }
    double gpus = conf.getDouble(TaskPlace.GPUS_PER_TASK, 1);
    if (gpus < 1) {
      throw new SettingsException(
          message(
              "Cannot train with spark.task.resource.gpu.amount = %s because several ranks would share a GPU. Set it to 1.",
              gpus));
    }
  }
}
