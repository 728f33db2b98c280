package io.github.kklip.launch;

import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.tasks.TaskPlace;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.spark.SparkEnv;
import org.apache.spark.api.java.JavaSparkContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Finds out whether a training run could work here: looks at the driver and at every executor, and
 * lets the executors meet as ranks do.
 */
public final class Doctor {
  private static final Logger LOG = LoggerFactory.getLogger(Doctor.class);

  /**
   * What was found.
   *
   * @param processes the driver and the executors
   * @param slots ranks that fit
   * @param problems what is wrong and what to do; empty when all is well
   */
  public record DoctorReport(List<Checkup> processes, int slots, List<String> problems) {}

  private Doctor() {}

  /** Examines the cluster as it is. */
  public static DoctorReport examine(JavaSparkContext spark, Settings settings) {
    List<Checkup> processes = new ArrayList<>();
    List<String> problems = new ArrayList<>();
    int processors = Runtime.getRuntime().availableProcessors();
    processes.add(Checkup.here("driver", new TaskPlace("cpu", processors)));
    try {
      RankSlots.await(
          spark.sc(), settings.train().ranks(), settings.train().comms().rendezvousTimeout());
    } catch (SettingsException | IllegalStateException e) {
      problems.add(e.getMessage());
    }
    int slots = RankSlots.now(spark.sc(), settings.train().ranks()).found();
    if (slots > 0) {
      try {
        processes.addAll(executors(spark, settings, slots));
      } catch (SettingsException | IllegalStateException e) {
        problems.add(e.getMessage());
      }
    }
    processes.forEach(p -> LOG.info("{}", p));
    processes.forEach(p -> problems.addAll(p.problems()));
    problems.forEach(p -> LOG.error("{}", p));
    return new DoctorReport(processes, slots, problems);
  }

  private static List<Checkup> executors(JavaSparkContext spark, Settings settings, int slots) {
    List<Checkup> ranks =
        new BarrierLauncher(spark, settings, slots)
            .run(
                "kklip doctor",
                line -> {},
                () -> 0,
                (scope, collective) -> {
                  Checkup checkup = Checkup.here(executor(), scope.place());
                  collective.barrier().await();
                  return checkup;
                });
    Map<String, Checkup> byExecutor = new LinkedHashMap<>();
    ranks.forEach(checkup -> byExecutor.putIfAbsent(checkup.where(), checkup));
    return List.copyOf(byExecutor.values());
  }

  private static String executor() {
    SparkEnv env = SparkEnv.get();
    return "executor " + env.executorId() + " on " + env.blockManager().blockManagerId().host();
  }
}
