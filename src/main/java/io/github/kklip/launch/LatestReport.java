package io.github.kklip.launch;

import java.io.Serializable;
import org.apache.spark.util.AccumulatorV2;

/**
 * What a rank last said of one kind. Spark carries it to the driver with the executors' heartbeats;
 * {@link StageWatch} puts it into Spark's UI.
 */
final class LatestReport extends AccumulatorV2<String, LatestReport.Report> {
  private static final long serialVersionUID = 1L;

  /** A line and its number; 0 is none. */
  record Report(long number, String line) implements Serializable {
    @Override
    public String toString() {
      return line;
    }
  }

  private static final Report NONE = new Report(0, "");

  /** One value, so that the heartbeat's thread sees number and line together. */
  private volatile Report latest = NONE;

  @Override
  public boolean isZero() {
    return latest.number() == 0;
  }

  @Override
  public LatestReport copy() {
    LatestReport copy = new LatestReport();
    copy.latest = latest;
    return copy;
  }

  @Override
  public void reset() {
    latest = NONE;
  }

  /** Called by one thread of a rank. */
  @Override
  public void add(String line) {
    latest = new Report(latest.number() + 1, line);
  }

  @Override
  public void merge(AccumulatorV2<String, Report> other) {
    if (!other.isZero()) {
      latest = other.value();
    }
  }

  @Override
  public Report value() {
    return latest;
  }
}
