package io.github.kklip.check;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.Settings;
import io.github.kklip.launch.TrainStage;
import java.time.Duration;
import java.util.List;
import org.apache.hadoop.conf.Configuration;

/**
 * All that can be known of a job before Spark starts: keys that must be set, files and folders and
 * what they must be, older outputs of other settings, data against settings, ranks against the
 * machine. Nothing is written, no data and no weights of a student are read, and the number of
 * file-system requests depends on the settings alone (each source, zero-shot task and folder level
 * of an output adds some), not on the size of the data.
 */
public final class Checks {

  /** For one check: the slowest reads a teacher's small files and its weights' samples. */
  private static final Duration LIMIT = Duration.ofSeconds(20);

  private Checks() {}

  /**
   * Finds what would stop the job or one of its stages.
   *
   * <p>The demo trains two students with settings of their own: it is checked once with the
   * settings of each.
   *
   * @param job its name on the command line; jobs without data, such as {@code doctor}, have no
   *     problems
   * @param configuration of the file systems
   * @return all problems, and who holds the folders that it will write to
   */
  public static CheckResult of(
      String job, Settings settings, Configuration configuration, Machine machine) {
    return of(job, settings, configuration, machine, LIMIT);
  }

  /**
   * @param limit of each check
   */
  static CheckResult of(
      String job, Settings settings, Configuration configuration, Machine machine, Duration limit) {
    List<String> stages = Stages.of(job, settings);
    if (stages.isEmpty()) {
      return new CheckResult(List.of(), List.of());
    }
    try (Findings findings = new Findings(limit)) {
      machine(findings, settings, machine, stages);
      DatasetChecks dataset =
          new DatasetChecks(
              findings, settings, configuration, machine, stages, job.equals(Stages.DEMO));
      dataset.make();
      if (stages.contains("train")) {
        new TrainChecks(findings, settings, configuration, machine, stages, dataset).make();
      }
      ModelChecks models =
          new ModelChecks(
              findings, settings, configuration, stages, job.equals(Stages.DEMO), dataset);
      if (stages.contains("evaluate")) {
        models.evaluate();
      }
      if (stages.contains("export")) {
        models.export();
      }
      new HeldLeases(findings, settings, configuration).look(stages, dataset.folder());
      return new CheckResult(findings.messages(), findings.warnings());
    }
  }

  private static void machine(
      Findings findings, Settings settings, Machine machine, List<String> stages) {
    machine
        .result()
        .ifPresent(
            file ->
                findings.holds("--result", file.toString(), () -> Outputs.requireResultFile(file)));
    int ranks = settings.train().ranks();
    long executorMb =
        findings
            .look(
                "spark.executor.memory",
                machine.spark().get("spark.executor.memory", ""),
                () -> machine.spark().getSizeAsMb("spark.executor.memory", "1g"))
            .orElse(0L);
    if (machine.embedded() && ranks > machine.cores()) {
      findings.add(
          message(
              "Cannot run with train.ranks = %s because each rank is a process of its own and this machine has %s cores. Set train.ranks to at most %s, or give a cluster by --master.",
              ranks, machine.cores(), machine.cores()));
    } else if (machine.embedded() && ranks * executorMb > machine.memoryMb()) {
      findings.add(
          message(
              "Cannot run with train.ranks = %s because that many processes with spark.executor.memory = %s MiB are more than the %s MiB of this machine. Set train.ranks or spark.executor.memory lower.",
              ranks, executorMb, machine.memoryMb()));
    }
    if (stages.contains("train") && machine.spark().contains("spark.master")) {
      findings.holds(
          "train.ranks",
          Integer.toString(ranks),
          () -> TrainStage.refuseWhatCannotWork(machine.spark(), ranks));
    }
  }
}
