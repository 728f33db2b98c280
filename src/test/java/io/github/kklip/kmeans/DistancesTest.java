package io.github.kklip.kmeans;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Offset.offset;

import io.github.kklip.tensor.TestDevice;
import java.util.List;
import org.junit.jupiter.api.Test;

class DistancesTest {
  /** Two centres, 5 apart. */
  private static final Centres CENTRES =
      Centres.of(List.of(new float[] {0, 0}, new float[] {3, 4}));

  /** The origin, and a row 1 from the second centre and sqrt(18) from the first. */
  private static final VectorBlock BLOCK =
      new VectorBlock(0, 0, new long[2], new float[] {0, 0, 3, 3});

  /** Odds of 3 to 1 between squared distances that differ by 25. */
  private static final double TAU = 25 / Math.log(3);

  @Test
  void nearestCentre() {
    try (Distances distances = new Distances(CENTRES, 1, TestDevice.NAME)) {
      Distances.Nearest nearest = distances.nearest(BLOCK);
      assertThat(nearest.centres()).containsExactly(0, 1);
      assertThat(nearest.squared()).containsExactly(0f, 1f);
    }
  }

  @Test
  void theFirstOfEquallyNearCentres() {
    Centres centres = Centres.of(List.of(new float[] {9}, new float[] {1}, new float[] {-1}));
    try (Distances distances = new Distances(centres, 1, TestDevice.NAME)) {
      assertThat(distances.assign(new VectorBlock(0, 0, new long[3], new float[] {0, -2, 8})))
          .containsExactly(1, 2, 0);
    }
  }

  @Test
  void refusesDistancesThatAreNotFinite() {
    VectorBlock huge = new VectorBlock(0, 0, new long[1], new float[] {3e38f, -3e38f});
    try (Distances distances = new Distances(CENTRES, 1, TestDevice.NAME)) {
      assertThatThrownBy(() -> distances.assign(huge))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "Cannot find the nearest centre of an embedding because its distances are not finite"
                  + " in float32. Embeddings must be of a length below 1e18.");
    }
  }

  @Test
  void entropyOfTheFullLabel() {
    double threeToOne = -0.75 * Math.log(0.75) - 0.25 * Math.log(0.25);
    try (Distances distances = new Distances(CENTRES, 1, TestDevice.NAME)) {
      float[][] entropies = distances.entropies(BLOCK, new double[] {TAU, 1e9, 1e-3});
      assertThat(entropies[0][0]).isCloseTo((float) threeToOne, offset(1e-6f));
      assertThat(entropies[1][0]).isCloseTo((float) Math.log(2), offset(1e-6f));
      assertThat(entropies[2][0]).isEqualTo(0f);
    }
  }

  @Test
  void labels() {
    // Second row: squared distances 18 and 1, so odds of 3^(17/25) to 1.
    float odds = (float) Math.pow(3, 17.0 / 25);
    try (Distances distances = new Distances(CENTRES, 1, TestDevice.NAME)) {
      Distances.Labels two = distances.labels(BLOCK, TAU, 2);
      assertThat(two.concepts()).containsExactly(0, 1, 1, 0);
      assertThat(two.weights())
          .containsExactly(
              new float[] {0.75f, 0.25f, odds / (1 + odds), 1 / (1 + odds)}, offset(1e-6f));
      Distances.Labels one = distances.labels(BLOCK, TAU, 1);
      assertThat(one.concepts()).containsExactly(0, 1);
      assertThat(one.weights()).containsExactly(1f, 1f);
    }
  }

  @Test
  void rankedProbabilities() {
    try (Distances distances = new Distances(CENTRES, 1, TestDevice.NAME)) {
      float[] ranked = distances.ranked(BLOCK, TAU);
      assertThat(ranked).hasSize(4);
      assertThat(ranked[0]).isCloseTo(0.75f, offset(1e-6f));
      assertThat(ranked[1]).isCloseTo(0.25f, offset(1e-6f));
      assertThat(ranked[2]).isGreaterThan(ranked[3]);
    }
  }
}
