package io.github.kklip.train.metrics;

import java.io.Serializable;
import java.util.Collections;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * What a logged step tells; one line of {@code metrics.jsonl}.
 *
 * @param step steps done, this one included
 * @param steps steps of the whole run
 * @param epoch passes over the data done, this step included
 * @param loss weighted sum of the loss's parts
 * @param losses the parts, unweighted, by name
 * @param logitScale logarithm of the contrastive loss's inverse temperature, after the step
 * @param lr learning rate of the step
 * @param gradientNorm norm of the whole gradient before clipping
 * @param skipped steps skipped so far for a loss or gradient that was not finite
 * @param samplesPerSecond pairs of all ranks for each second since the last report
 * @param dataWait share of the time since the last report that the ranks waited for data, on
 *     average
 */
public record StepReport(
    long step,
    long steps,
    double epoch,
    double loss,
    SortedMap<String, Double> losses,
    double logitScale,
    double lr,
    double gradientNorm,
    long skipped,
    double samplesPerSecond,
    double dataWait)
    implements Serializable {
  public StepReport {
    losses = Collections.unmodifiableSortedMap(new TreeMap<>(losses));
  }

  /** What changes from step to step, by name; the parts of the loss as {@code loss/NAME}. */
  SortedMap<String, Double> values() {
    SortedMap<String, Double> values = new TreeMap<>();
    values.put("loss", loss);
    losses.forEach((name, value) -> values.put("loss/" + name, value));
    values.put("epoch", epoch);
    values.put("logit_scale", logitScale);
    values.put("lr", lr);
    values.put("gradient_norm", gradientNorm);
    values.put("skipped", (double) skipped);
    values.put("samples_per_second", samplesPerSecond);
    values.put("data_wait", dataWait);
    return values;
  }
}
