package io.github.kklip.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class ChartTest {
  @Test
  void numbersHaveFewDigits() {
    assertThat(
            List.of(0.0, 12.0, 3.4, 0.0571234, 123456.0, 2.5e7, 1e-5).stream().map(Chart::number))
        .containsExactly("0", "12", "3.4", "0.0571", "123456", "2.50e+07", "1.00e-05");
  }

  @Test
  void aValueThatIsNotFiniteIsAGap() {
    String plot =
        Chart.lines(
            "loss",
            "step",
            List.of(
                new Chart.Line(
                    "a", new double[] {0, 1, 2, 3}, new double[] {4, Double.NaN, 2, 0})));
    assertThat(plot).contains("d=\"M52.0 12.0M356.0 109.0L508.0 206.0\"").doesNotContain("NaN");
  }

  @Test
  void nothingToPlotIsSaid() {
    assertThat(Chart.lines("loss", "step", List.of())).contains("There is nothing to plot.");
  }

  @Test
  void barsAreAsHighAsTheirShare() {
    // The axis goes from 0 to 100 over 194 pixels.
    String plot =
        Chart.percentages(
            "recall",
            List.of("R@1"),
            List.of(new Chart.Bars("model", new double[] {0.5})),
            new double[] {1});
    assertThat(plot).contains("y=\"109.0\" width=\"46.0\" height=\"97.0\"").contains("y1=\"12.0\"");
  }
}
