package io.github.kklip.kmeans;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.config.SplitMix64;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;

class GridTest {
  @Test
  void roundsToMultiplesOfTheStep() {
    // Four values of at most 1: the largest sum is 4, 2^51 q is the power of two over it, 8.
    double q = 0x1p-48;
    Grid grid = Grid.of(4, 1);
    assertThat(grid.round(1)).isEqualTo(1);
    assertThat(grid.round(5 * q)).isEqualTo(5 * q);
    assertThat(grid.round(5.25 * q)).isEqualTo(5 * q);
    assertThat(grid.round(-5.75 * q)).isEqualTo(-6 * q);
  }

  @Test
  void sumsInAnyOrderAreBitwiseEqual() {
    SplitMix64 random = new SplitMix64(1);
    int count = 20_000;
    double[] values = new double[count];
    Grid grid = Grid.of(count, 3);
    double exact = 0;
    for (int i = 0; i < count; i++) {
      double value = (random.nextDouble() * 2 - 1) * 3 * Math.pow(10, -4 * random.nextDouble());
      exact += value;
      values[i] = grid.round(value);
    }
    double forwards = 0;
    for (int i = 0; i < count; i++) {
      forwards += values[i];
    }
    double strided = 0;
    for (int start = 0; start < 7; start++) {
      double part = 0;
      for (int i = start; i < count; i += 7) {
        part += values[i];
      }
      strided += part;
    }
    assertThat(strided).isEqualTo(forwards);
    assertThat(forwards).isCloseTo(exact, Offset.offset(1e-6));
  }

  @Test
  void nothingButZerosIsFine() {
    assertThat(Grid.of(10, 0).round(0)).isEqualTo(0);
  }

  @Test
  void refusesABoundThatIsNone() {
    assertThatThrownBy(() -> Grid.of(10, Double.NaN))
        .hasMessage("Cannot sum values because their bound is not a finite number: NaN.");
  }
}
