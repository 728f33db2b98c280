package io.github.kklip.train;

import io.github.kklip.loss.Losses;
import io.github.kklip.train.metrics.StepReport;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/** Sums over the steps of one attempt, and over those of its logging interval. */
final class RunTotals {
  private final long start = System.nanoTime();
  private long steps;
  private double waited;
  private final SortedMap<String, Double> interval = new TreeMap<>();
  private int intervalSteps;
  private SortedMap<String, Double> means = new TreeMap<>();

  /**
   * Counts a step.
   *
   * @param losses by name; a step without a finite loss does not count in the means
   * @param seconds that all ranks together waited for its data
   */
  void add(Map<String, Double> losses, double seconds) {
    steps++;
    waited += seconds;
    if (losses.values().stream().allMatch(Double::isFinite)) {
      losses.forEach((name, loss) -> interval.merge(name, loss, Double::sum));
      intervalSteps++;
    }
  }

  /** The step was logged: the next one begins another interval. */
  void endInterval() {
    if (intervalSteps > 0) {
      means = new TreeMap<>();
      interval.forEach((name, sum) -> means.put(name, sum / intervalSteps));
    }
    interval.clear();
    intervalSteps = 0;
  }

  /**
   * The figures of the attempt so far.
   *
   * @param batch pairs of a step
   * @param last stands in for losses where no step of the attempt had finite ones
   */
  RunFigures figures(int batch, int ranks, StepReport last) {
    if (steps == 0) {
      return RunFigures.of(last);
    }
    double seconds = Math.max(1e-9, (System.nanoTime() - start) / 1e9);
    SortedMap<String, Double> parts = new TreeMap<>(means.isEmpty() ? last.losses() : means);
    Double total = parts.remove(Losses.TOTAL);
    return new RunFigures(
        total == null ? last.loss() : total,
        parts,
        steps * batch / seconds,
        waited / (seconds * ranks));
  }
}
