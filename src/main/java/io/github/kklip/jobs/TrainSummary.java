package io.github.kklip.jobs;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.github.kklip.train.TrainResult;
import io.github.kklip.train.metrics.RunFigures;
import java.util.SortedMap;

/**
 * What a run of {@code train} came to.
 *
 * @param steps steps that the model has taken, in all starts of the run
 * @param firstStep the step that this start began with
 * @param loss mean of the weighted loss over the last logging interval
 * @param losses the same of its parts, unweighted, by name
 * @param logitScale logarithm of the contrastive loss's inverse temperature at the end
 * @param skipped steps that were skipped for a loss or gradient that was not finite
 * @param samplesPerSecond pairs for each second of this start
 * @param dataWait share of this start that the ranks waited for data
 * @param checkpoint folder of the newest checkpoint
 */
public record TrainSummary(
    long steps,
    long firstStep,
    double loss,
    SortedMap<String, Double> losses,
    double logitScale,
    long skipped,
    @JsonProperty("samples_per_s") double samplesPerSecond,
    double dataWait,
    String checkpoint) {
  static TrainSummary of(TrainResult result) {
    RunFigures figures = result.figures();
    return new TrainSummary(
        result.last().step(),
        result.firstStep(),
        figures.loss(),
        figures.losses(),
        result.last().logitScale(),
        result.last().skipped(),
        figures.samplesPerSecond(),
        figures.dataWait(),
        result.checkpoint());
  }
}
