package io.github.kklip.concept;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Percentage.withPercentage;

import java.util.Arrays;
import java.util.function.DoubleUnaryOperator;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;

class TemperatureTest {
  /** Perplexity of one row with squared distances 0 and ln 3 to two concepts. */
  private static double twoConcepts(double tau) {
    double odds = Math.pow(3, -1 / tau);
    double p = 1 / (1 + odds);
    double q = odds / (1 + odds);
    return Math.exp(-p * Math.log(p) - (q > 0 ? q * Math.log(q) : 0));
  }

  private static UnaryOperator<double[]> each(DoubleUnaryOperator perplexity) {
    return temperatures -> Arrays.stream(temperatures).map(perplexity).toArray();
  }

  @Test
  void findsTheTemperatureOfAKnownEntropy() {
    // At tau = 1 the label is (3/4, 1/4), of entropy 3/4 ln 4/3 + 1/4 ln 4.
    double target = Math.exp(0.75 * Math.log(4.0 / 3) + 0.25 * Math.log(4));
    Temperature.FoundTemperature found =
        Temperature.reaching(target, 5, each(TemperatureTest::twoConcepts));
    assertThat(found.temperature()).isCloseTo(1, withPercentage(1));
    assertThat(found.perplexity()).isCloseTo(target, withPercentage(0.1));
  }

  @Test
  void growsWithTheTarget() {
    double before = 0;
    for (double target = 1.1; target < 2; target += 0.1) {
      double found =
          Temperature.reaching(target, 1, each(TemperatureTest::twoConcepts)).temperature();
      assertThat(found).isGreaterThan(before);
      before = found;
    }
  }

  @Test
  void takesFewPasses() {
    int[] passes = {0};
    Temperature.reaching(
        1.7,
        1,
        temperatures -> {
          passes[0]++;
          return each(TemperatureTest::twoConcepts).apply(temperatures);
        });
    assertThat(passes[0]).isLessThanOrEqualTo(4);
  }

  @Test
  void refusesWhatNoTemperatureReaches() {
    // Two centres at equal distance: the perplexity is 2 however cold it is.
    assertThatThrownBy(() -> Temperature.reaching(1.5, 1, each(tau -> 2)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "Cannot find the temperature of perplexity 1.5 because these centres reach only 2.0000"
                + " to 2.0000. Set concepts.target-perplexity between them, or concepts.temperature"
                + " to a number.");
  }

  @Test
  void refusesAJump() {
    assertThatThrownBy(() -> Temperature.reaching(2.5, 1, each(tau -> tau < 0.3 ? 1.5 : 4)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageStartingWith(
            "Cannot find the temperature of perplexity 2.5 because the perplexity jumps over it");
  }
}
