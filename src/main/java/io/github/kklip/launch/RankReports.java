package io.github.kklip.launch;

import io.github.kklip.progress.Counts;
import io.github.kklip.progress.Reading;
import io.github.kklip.train.TrainProgress;
import io.github.kklip.train.metrics.StepReport;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.spark.SparkEnv;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Makes what the driver is told of what rank 0's trainer tells. */
final class RankReports implements TrainProgress {
  private static final Logger LOG = LoggerFactory.getLogger(RankReports.class);

  private final RankProgress rank;
  private long firstStep;

  RankReports(RankProgress rank) {
    this.rank = rank;
  }

  @Override
  public void started(long first, long steps, double expectedContrastiveLoss) {
    firstStep = first;
    say(String.format(Locale.ROOT, "training begins at step %d of %d", first, steps));
    rank.at(new Reading(new Counts(first, first, 0, 0), steps, ""), 0);
  }

  @Override
  public void step(StepReport report) {
    rank.at(reading(report, firstStep), report.epoch());
  }

  @Override
  public void checkpoint(long step, String location) {
    say("checkpoint of step " + step + ": " + location);
  }

  /**
   * Where a run is.
   *
   * @param firstStep steps that earlier attempts did
   */
  static Reading reading(StepReport report, long firstStep) {
    String parts =
        report.losses().entrySet().stream()
            .map(part -> part(part))
            .collect(Collectors.joining(", "));
    return new Reading(
        new Counts(report.step(), firstStep, 0, report.skipped()),
        report.steps(),
        String.format(
            Locale.ROOT,
            "epoch %.2f, loss %.4f (%s), logit scale %.3f, %.1f pairs/s, waiting for data %.1f %%",
            report.epoch(),
            report.loss(),
            parts,
            report.logitScale(),
            report.samplesPerSecond(),
            100 * report.dataWait()));
  }

  private static String part(Map.Entry<String, Double> part) {
    return String.format(Locale.ROOT, "%s %.4f", part.getKey(), part.getValue());
  }

  /** To the driver, and to the log of the executor, which is the driver's in local mode. */
  private void say(String line) {
    SparkEnv env = SparkEnv.get();
    if (env != null && !env.executorId().equals("driver")) {
      LOG.info("{}", line);
    }
    rank.line(line);
  }
}
