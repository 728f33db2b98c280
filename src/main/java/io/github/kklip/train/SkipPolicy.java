package io.github.kklip.train;

import static io.github.kklip.config.Message.message;

import ai.djl.ndarray.NDManager;
import io.github.kklip.comms.Collective;
import io.github.kklip.config.TrainSettings;
import io.github.kklip.loss.Losses;
import io.github.kklip.optim.Clip;
import io.github.kklip.train.checkpoint.TrainState;
import io.github.kklip.train.data.Batch;
import io.github.kklip.train.step.GradientStep;
import io.github.kklip.train.step.StepSignals;
import io.github.kklip.train.step.StepSums;
import io.github.kklip.train.step.Student;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Takes the steps whose loss and gradient are finite, clipped to {@code train.clip-norm}, and skips
 * the others on all ranks. {@code train.max-skipped-steps} of those in a row end the run.
 */
final class SkipPolicy {
  private static final Logger LOG = LoggerFactory.getLogger(SkipPolicy.class);

  private final Student student;
  private final Collective collective;
  private final TrainSettings settings;
  private final Clip clip;
  private int skippedInRow;
  private long skipped;

  /**
   * @param from state of the checkpoint that is gone on from; null: from the start
   */
  SkipPolicy(Student student, Collective collective, TrainSettings settings, TrainState from) {
    this.student = student;
    this.collective = collective;
    this.settings = settings;
    clip = new Clip(settings.step().clipNorm());
    skippedInRow = from == null ? 0 : from.skippedInRow();
    skipped = from == null ? 0 : from.skipped();
  }

  /** Steps skipped since the last that was taken. */
  int skippedInRow() {
    return skippedInRow;
  }

  /** Steps skipped in all. */
  long skipped() {
    return skipped;
  }

  /**
   * Takes the step, or skips it on every rank: all have the same sums and the same gradient. Sets
   * the gradient to zero.
   *
   * @param step its number, for messages
   * @return norm of the gradient before clipping
   * @throws IllegalStateException when too many in a row were skipped; it names the loss to blame
   */
  double takeOrSkip(NDManager manager, Batch batch, StepSums sums, long step, double lr) {
    double norm = student.gradientNorm();
    double loss = sums.losses().get(Losses.TOTAL);
    if (Double.isFinite(loss) && Double.isFinite(norm)) {
      student.update(lr, clip.divisor(norm));
      skippedInRow = 0;
    } else {
      skippedInRow++;
      skipped++;
      String what = Double.isFinite(loss) ? "the gradient's norm is " + norm : notFinite(sums);
      LOG.warn("Skipped step {} because {}", step, what);
      if (skippedInRow >= settings.step().maxSkippedSteps()) {
        if (Double.isFinite(loss)) {
          what += suspects(manager, batch, sums.losses().keySet());
        }
        throw new IllegalStateException(
            message(
                "Cannot go on training because %s steps in a row had no finite loss and gradient: in step %s %s. Lower train.lr, lengthen train.warmup-steps, or use train.precision = float32.",
                skippedInRow, step, what));
      }
    }
    student.model().parameters().zeroGradients();
    return norm;
  }

  private static String notFinite(StepSums sums) {
    for (Map.Entry<String, Double> term : sums.losses().entrySet()) {
      if (!Double.isFinite(term.getValue()) && !term.getKey().equals(Losses.TOTAL)) {
        return "the loss " + term.getKey() + " is " + term.getValue();
      }
    }
    return "the loss is " + sums.losses().get(Losses.TOTAL);
  }

  /** Which terms of the loss have, alone, a gradient that is not finite: for the message. */
  private String suspects(NDManager manager, Batch batch, Set<String> terms) {
    List<String> suspects = new ArrayList<>();
    for (String term : terms) {
      if (term.equals(Losses.TOTAL)) {
        continue;
      }
      student.model().parameters().zeroGradients();
      TrainSettings.LossSettings alone = settings.loss().alone(term);
      try (GradientStep again = new GradientStep(student, collective, settings, alone);
          NDManager scope = manager.newSubManager()) {
        again.compute(scope, batch, StepSignals.NONE);
        if (!Double.isFinite(student.gradientNorm())) {
          suspects.add(term);
        }
      }
    }
    return suspects.isEmpty()
        ? ", though each part of the loss has a finite gradient when it is computed again"
        : ", from the loss " + String.join(" and the loss ", suspects);
  }
}
