package io.github.kklip.train;

import io.github.kklip.train.checkpoint.CheckpointWriter;
import io.github.kklip.train.checkpoint.TrainState;
import io.github.kklip.train.metrics.RunMetrics;
import io.github.kklip.train.step.StepSignals;
import io.github.kklip.train.step.Student;
import java.util.Optional;
import java.util.concurrent.Future;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * When checkpoints are made: every {@code train.checkpoint.every-steps} steps and at the end, one
 * at a time. All ranks decide alike, for the moments of a sharded optimizer come from all of them.
 */
final class CheckpointSchedule {
  private static final Logger LOG = LoggerFactory.getLogger(CheckpointSchedule.class);

  /** A checkpoint that was begun and has not come together yet; the same on all ranks. */
  private record Saving(TrainState state, Future<Void> publication) {}

  private final Student student;
  private final int everySteps;
  private final CheckpointWriter writer;
  private final RunMetrics metrics;
  private final TrainProgress progress;
  private boolean due;
  private Saving saving;
  private String newest = "";

  /**
   * @param writer of rank 0; null on the others
   * @param metrics of rank 0, which must be written before a checkpoint is whole; null likewise
   * @param progress is told of whole checkpoints, by rank 0
   */
  CheckpointSchedule(
      Student student,
      int everySteps,
      CheckpointWriter writer,
      RunMetrics metrics,
      TrainProgress progress) {
    this.student = student;
    this.everySteps = everySteps;
    this.writer = writer;
    this.metrics = metrics;
    this.progress = progress;
  }

  /** Whether rank 0 has a checkpoint on its way. */
  boolean isBusy() {
    return writer != null && (saving != null || writer.isBusy());
  }

  /**
   * Whether one is to be begun after this step. One that is due while another is on its way is made
   * when that one is whole.
   *
   * @param end whether no step follows
   * @param signals the sums of the step
   */
  boolean isDue(long step, boolean end, StepSignals signals) {
    due |= everySteps > 0 && step % everySteps == 0;
    return end || (due && signals.savingBusy() == 0);
  }

  /** Begins one: the step waits for the copy alone, the last step for all. */
  void begin(TrainState state) {
    due = false;
    finish();
    long start = System.nanoTime();
    student.startSnapshot();
    saving = new Saving(state, writer == null ? null : metrics.publication());
    if (writer != null) {
      LOG.info(
          "The step waited {} ms for a copy of weights and moments",
          (System.nanoTime() - start) / 1_000_000);
    }
    advance();
  }

  /** Goes on with the checkpoint that was begun, if any: rank 0 writes it when it has it all. */
  void advance() {
    Saving now = saving;
    if (now != null
        && !student.collectSnapshot(
            snapshot -> writer.start(now.state, snapshot, now.publication))) {
      saving = null;
    }
  }

  /** Tells of the checkpoint that has become whole, if one has; throws when one failed. */
  void poll() {
    if (writer != null) {
      tell(writer.poll());
    }
  }

  /**
   * Waits until the checkpoint that was begun is whole.
   *
   * @return folder of the newest one that this attempt wrote, on rank 0; else empty
   */
  String finish() {
    while (saving != null) {
      advance();
    }
    if (writer != null) {
      tell(writer.await());
    }
    return newest;
  }

  private void tell(Optional<CheckpointWriter.WrittenCheckpoint> written) {
    written.ifPresent(
        whole -> {
          newest = whole.location();
          progress.checkpoint(whole.step(), whole.location());
        });
  }
}
