package io.github.kklip.train;

import io.github.kklip.train.metrics.RunFigures;
import io.github.kklip.train.metrics.StepReport;
import java.io.Serializable;

/**
 * How a run ended.
 *
 * @param last what the last step told
 * @param figures what the steps of this attempt tell together
 * @param complete whether all steps are done; false: it was told to stop, and goes on from its
 *     checkpoint when it is started again
 * @param firstStep the step that this attempt began with
 * @param checkpoint folder of the newest checkpoint, known to rank 0 only; empty elsewhere
 * @param reported the highest step that was reported by this start; above the last step where a
 *     rank was lost after the report, and the run was told to stop before it came so far again
 */
public record TrainResult(
    StepReport last,
    RunFigures figures,
    boolean complete,
    long firstStep,
    String checkpoint,
    long reported)
    implements Serializable {
  /** The same with what the driver has seen of attempts before the one that ended. */
  public TrainResult reported(long step) {
    return new TrainResult(
        last, figures, complete, firstStep, checkpoint, Math.max(reported, step));
  }
}
