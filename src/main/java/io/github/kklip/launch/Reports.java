package io.github.kklip.launch;

import java.io.Serializable;
import java.util.Locale;
import org.apache.spark.SparkContext;

/** The accumulators by which rank 0 tells the driver of its progress. */
final class Reports implements RankProgress, Serializable {
  private static final long serialVersionUID = 1L;
  static final String LINE = "progress";
  static final String STEP = "step";
  static final String EPOCH = "epoch";

  private final LatestReport line = new LatestReport();
  private final LatestReport step = new LatestReport();
  private final LatestReport epoch = new LatestReport();

  /** Makes them known to Spark, on the driver. */
  Reports(SparkContext spark) {
    spark.register(line, LINE);
    spark.register(step, STEP);
    spark.register(epoch, EPOCH);
  }

  @Override
  public void line(String text) {
    line.add(text);
  }

  @Override
  public void at(long steps, double epochs) {
    step.add(Long.toString(steps));
    epoch.add(String.format(Locale.ROOT, "%.2f", epochs));
  }
}
