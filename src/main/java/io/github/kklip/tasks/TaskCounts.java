package io.github.kklip.tasks;

import io.github.kklip.progress.Counts;
import org.apache.spark.util.AccumulatorV2;

/** What the tasks of a stage have done. Each task has its own, the driver their sum. */
public final class TaskCounts extends AccumulatorV2<Counts, Counts> {
  private static final long serialVersionUID = 1L;

  /** One value, so that the heartbeat's thread sees all its parts together. */
  private volatile Counts counts = Counts.NONE;

  TaskCounts() {}

  /** Counts units that are done. */
  public void done(long units) {
    add(new Counts(units, 0, 0, 0));
  }

  /** Counts units that an earlier run did. */
  public void doneBefore(long units) {
    add(new Counts(units, units, 0, 0));
  }

  /** Counts what a unit holds, before the unit is done. */
  public void items(long items, long rejects) {
    add(new Counts(0, 0, items, rejects));
  }

  @Override
  public boolean isZero() {
    return counts.equals(Counts.NONE);
  }

  @Override
  public TaskCounts copy() {
    TaskCounts copy = new TaskCounts();
    copy.counts = counts;
    return copy;
  }

  @Override
  public void reset() {
    counts = Counts.NONE;
  }

  @Override
  public synchronized void add(Counts more) {
    counts = counts.plus(more);
  }

  @Override
  public void merge(AccumulatorV2<Counts, Counts> other) {
    add(other.value());
  }

  @Override
  public Counts value() {
    return counts;
  }
}
