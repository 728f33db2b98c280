package io.github.kklip.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.github.kklip.train.metrics.StepReport;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

class RunTotalsTest {
  private static final StepReport LAST =
      new StepReport(9, 9, 1, 7, new TreeMap<>(Map.of("emb", 5.0)), 2, 1e-3, 1, 0, 100, 0.5);

  private static void add(RunTotals totals, double loss, double emb) {
    totals.add(Map.of("loss", loss, "emb", emb), 0.25);
  }

  @Test
  void lossesAreMeansOfTheLastInterval() {
    RunTotals totals = new RunTotals();
    add(totals, 100, 50);
    totals.endInterval();
    add(totals, 1, 2);
    add(totals, 2, 4);
    add(totals, 6, 3);
    totals.endInterval();
    RunFigures figures = totals.figures(8, 1, LAST);
    assertThat(figures.loss()).isEqualTo(3);
    assertThat(figures.losses()).isEqualTo(Map.of("emb", 3.0));
  }

  @Test
  void aStepThatWasSkippedDoesNotCountInTheMeans() {
    RunTotals totals = new RunTotals();
    add(totals, 4, 2);
    add(totals, Double.NaN, Double.NaN);
    totals.endInterval();
    assertThat(totals.figures(8, 1, LAST).loss()).isEqualTo(4);

    add(totals, Double.POSITIVE_INFINITY, 1);
    totals.endInterval();
    assertThat(totals.figures(8, 1, LAST).loss()).isEqualTo(4);
  }

  @Test
  void speedAndWaitCoverAllSteps() {
    RunTotals totals = new RunTotals();
    for (int step = 0; step < 10; step++) {
      add(totals, 1, 1);
    }
    totals.endInterval();
    RunFigures figures = totals.figures(8, 2, LAST);
    // Both have the time of the attempt below the line: 80 pairs, 2.5 s over two ranks.
    assertThat(figures.samplesPerSecond() / figures.dataWait())
        .isCloseTo(80 / (2.5 / 2), within(1e-9));
  }

  @Test
  void anAttemptWithoutStepsTellsOfTheRunsLast() {
    RunFigures figures = new RunTotals().figures(8, 1, LAST);
    assertThat(figures).isEqualTo(new RunFigures(7, LAST.losses(), 100, 0.5));
  }
}
