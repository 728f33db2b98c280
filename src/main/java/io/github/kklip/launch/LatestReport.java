package io.github.kklip.launch;

import java.io.Serializable;
import org.apache.spark.util.AccumulatorV2;

/**
 * What a rank last said of one kind. Spark carries it to the driver with the executors' heartbeats;
 * {@link StageWatch} takes it there.
 */
final class LatestReport<T extends Serializable> extends AccumulatorV2<T, LatestReport.Report<T>> {
  private static final long serialVersionUID = 1L;

  /**
   * @param number 0: nothing was said
   * @param value null when nothing was said
   */
  record Report<T extends Serializable>(long number, T value) implements Serializable {
    @Override
    public String toString() {
      return String.valueOf(value);
    }
  }

  /** One value, so that the heartbeat's thread sees number and line together. */
  private volatile Report<T> latest = new Report<>(0, null);

  @Override
  public boolean isZero() {
    return latest.number() == 0;
  }

  @Override
  public LatestReport<T> copy() {
    LatestReport<T> copy = new LatestReport<>();
    copy.latest = latest;
    return copy;
  }

  @Override
  public void reset() {
    latest = new Report<>(0, null);
  }

  /** Called by one thread of a rank. */
  @Override
  public void add(T value) {
    latest = new Report<>(latest.number() + 1, value);
  }

  @Override
  public void merge(AccumulatorV2<T, Report<T>> other) {
    if (!other.isZero()) {
      latest = other.value();
    }
  }

  @Override
  public Report<T> value() {
    return latest;
  }
}
