package io.github.kklip.train.metrics;

import java.io.Serializable;
import java.util.Collections;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * What an attempt at a run tells at its end, of its steps together. One that found all steps done
 * tells the figures of the last report instead.
 *
 * @param loss mean of the weighted sum of the loss's terms over the last {@code
 *     train.log-every-steps} steps of the attempt that changed the weights; where none did, that of
 *     the last step
 * @param losses means of the terms over the same steps, unweighted, by name
 * @param samplesPerSecond pairs of all ranks for each second of the attempt's steps
 * @param dataWait share of that time that the ranks waited for data, on average
 */
public record RunFigures(
    double loss, SortedMap<String, Double> losses, double samplesPerSecond, double dataWait)
    implements Serializable {
  public RunFigures {
    losses = Collections.unmodifiableSortedMap(new TreeMap<>(losses));
  }

  /** Those of one report. */
  public static RunFigures of(StepReport report) {
    return new RunFigures(
        report.loss(), report.losses(), report.samplesPerSecond(), report.dataWait());
  }
}
