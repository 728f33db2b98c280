package io.github.kklip.launch;

import io.github.kklip.progress.Reading;
import java.io.Serializable;
import java.util.Locale;
import org.apache.spark.SparkContext;

/** The accumulators by which rank 0 tells the driver of its progress. */
final class Reports implements RankProgress, Serializable {
  private static final long serialVersionUID = 1L;
  static final String LINE = "progress";
  static final String STEP = "step";
  static final String EPOCH = "epoch";

  /** What {@link RankProgress#at} was told. */
  record Position(Reading reading, double epoch) implements Serializable {}

  private final LatestReport<String> line = new LatestReport<>();
  private final LatestReport<String> step = new LatestReport<>();
  private final LatestReport<String> epoch = new LatestReport<>();
  private final LatestReport<Position> position = new LatestReport<>();

  /** Makes them known to Spark, on the driver. */
  Reports(SparkContext spark) {
    spark.register(line, LINE);
    spark.register(step, STEP);
    spark.register(epoch, EPOCH);
    // Without a name, as it is nothing for Spark's pages.
    spark.register(position);
  }

  @Override
  public void line(String text) {
    line.add(text);
  }

  @Override
  public void at(Reading reading, double epochs) {
    step.add(Long.toString(reading.counts().done()));
    epoch.add(String.format(Locale.ROOT, "%.2f", epochs));
    position.add(new Position(reading, epochs));
  }
}
