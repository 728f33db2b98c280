package io.github.kklip.train;

import io.github.kklip.loss.Losses;
import io.github.kklip.train.metrics.RunFigures;
import io.github.kklip.train.metrics.StepReport;
import io.github.kklip.train.plan.SampleOrder;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.SortedMap;
import java.util.TreeMap;

/** Figures of the steps since the last report, and of all steps of an attempt. */
final class RunReports {
  private final SampleOrder order;
  private final long steps;
  private final int ranks;
  private final int interval;
  private final Deque<SortedMap<String, Double>> recent = new ArrayDeque<>();
  private final Span whole;
  private Span span;

  /** Steps from one on, and the seconds that all ranks together waited for data in them. */
  private static final class Span {
    private final long firstStep;
    private final long start = System.nanoTime();
    private double waited;

    Span(long firstStep) {
      this.firstStep = firstStep;
    }

    double seconds() {
      return Math.max(1e-9, (System.nanoTime() - start) / 1e9);
    }
  }

  /**
   * Starts the clock.
   *
   * @param steps of the whole run
   * @param firstStep of this attempt
   * @param interval {@code train.log-every-steps}: over so many steps losses are averaged
   */
  RunReports(SampleOrder order, long steps, long firstStep, int ranks, int interval) {
    this.order = order;
    this.steps = steps;
    this.ranks = ranks;
    this.interval = interval;
    whole = new Span(firstStep);
    span = new Span(firstStep);
  }

  /**
   * Counts a step.
   *
   * @param losses terms of the loss and their weighted sum, by name
   * @param waited seconds that all ranks together waited for its data
   * @param taken whether it changed the weights
   */
  void add(SortedMap<String, Double> losses, double waited, boolean taken) {
    whole.waited += waited;
    span.waited += waited;
    if (taken) {
      recent.add(losses);
      if (recent.size() > interval) {
        recent.remove();
      }
    }
  }

  /** What a step tells, with the rates since the last report. */
  StepReport report(
      long step,
      SortedMap<String, Double> losses,
      double logitScale,
      double lr,
      double gradientNorm,
      long skipped) {
    double seconds = span.seconds();
    SortedMap<String, Double> terms = new TreeMap<>(losses);
    double loss = terms.remove(Losses.TOTAL);
    StepReport report =
        new StepReport(
            step,
            steps,
            (double) step / order.stepsPerEpoch(),
            loss,
            terms,
            logitScale,
            lr,
            gradientNorm,
            skipped,
            (step - span.firstStep) * order.batch() / seconds,
            span.waited / (seconds * ranks));
    span = new Span(step);
    return report;
  }

  /**
   * What the attempt tells.
   *
   * @param last the last report, of the attempt's last step
   */
  RunFigures figures(StepReport last) {
    if (last.step() == whole.firstStep) {
      return RunFigures.of(last);
    }
    SortedMap<String, Double> means = new TreeMap<>();
    for (SortedMap<String, Double> losses : recent) {
      losses.forEach((name, loss) -> means.merge(name, loss / recent.size(), Double::sum));
    }
    double loss = recent.isEmpty() ? last.loss() : means.remove(Losses.TOTAL);
    double seconds = whole.seconds();
    return new RunFigures(
        loss,
        recent.isEmpty() ? last.losses() : means,
        (last.step() - whole.firstStep) * order.batch() / seconds,
        whole.waited / (seconds * ranks));
  }
}
