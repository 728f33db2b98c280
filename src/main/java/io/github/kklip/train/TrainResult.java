package io.github.kklip.train;

import io.github.kklip.train.metrics.StepReport;
import java.io.Serializable;

/**
 * How a run ended.
 *
 * @param last what the last step told
 * @param figures what the attempt as a whole comes to
 * @param complete whether all steps are done; false: it was told to stop, and goes on from its
 *     checkpoint when it is started again
 * @param firstStep the step that this attempt began with
 * @param checkpoint folder of the newest checkpoint, known to rank 0 only; empty elsewhere
 */
public record TrainResult(
    StepReport last, RunFigures figures, boolean complete, long firstStep, String checkpoint)
    implements Serializable {}
