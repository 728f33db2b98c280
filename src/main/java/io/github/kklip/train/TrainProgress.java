package io.github.kklip.train;

import io.github.kklip.train.metrics.StepReport;

/** Is told by rank 0 how the run goes. Called on the training thread: must return quickly. */
public interface TrainProgress {
  /** Tells nobody. */
  TrainProgress SILENT =
      new TrainProgress() {
        @Override
        public void started(long firstStep, long steps, double expectedContrastiveLoss) {}

        @Override
        public void step(StepReport report) {}

        @Override
        public void checkpoint(long step, String location) {}
      };

  /**
   * The first step is about to be done.
   *
   * @param firstStep steps that a checkpoint has done already
   * @param steps steps of the whole run
   * @param expectedContrastiveLoss ln(batch): what the contrastive loss of untrained weights is
   *     about
   */
  void started(long firstStep, long steps, double expectedContrastiveLoss);

  /** Every {@code train.log-every-steps} steps, and after the last. */
  void step(StepReport report);

  /** A checkpoint is whole. */
  void checkpoint(long step, String location);
}
