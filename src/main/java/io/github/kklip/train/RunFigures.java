package io.github.kklip.train;

import io.github.kklip.train.metrics.StepReport;
import java.io.Serializable;
import java.util.Collections;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * What a whole attempt comes to, where a {@link StepReport} tells of one step.
 *
 * @param loss mean of the weighted loss over the steps of the last logging interval
 * @param losses the same of its parts, unweighted, by name
 * @param samplesPerSecond pairs of all ranks for each second of the attempt
 * @param dataWait share of the attempt that the ranks waited for data, on average
 */
public record RunFigures(
    double loss, SortedMap<String, Double> losses, double samplesPerSecond, double dataWait)
    implements Serializable {
  public RunFigures {
    losses = Collections.unmodifiableSortedMap(new TreeMap<>(losses));
  }

  /** Of an attempt without a step: what the run's last step told. */
  static RunFigures of(StepReport last) {
    return new RunFigures(last.loss(), last.losses(), last.samplesPerSecond(), last.dataWait());
  }
}
