package io.github.kklip.concept;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Percentage.withPercentage;

import io.github.kklip.config.ConceptSettings;
import io.github.kklip.config.Settings;
import io.github.kklip.config.SplitMix64;
import io.github.kklip.kmeans.Lloyd;
import io.github.kklip.kmeans.LocalRows;
import io.github.kklip.kmeans.RandomRows;
import io.github.kklip.kmeans.VectorBlock;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Temperature and top-k that are found by themselves, on rows of very different kinds. */
class SoftLabelTargetsTest {
  private static final int K = 12;

  /** What the name says; 600 rows. */
  private static LocalRows rows(String kind, float scale) {
    SplitMix64 random = new SplitMix64(3);
    List<VectorBlock> blocks =
        switch (kind) {
          case "clusters" -> RandomRows.blocks(2, 300, 16, K, 3);
          case "fewer-clusters-than-centres" -> RandomRows.blocks(2, 300, 16, 3, 3);
          case "line" -> List.of(made(600, 1, i -> (float) random.nextDouble()));
          // As many different rows as centres: every row is its centre.
          case "repeated" -> List.of(made(600, 8, i -> (float) Math.sin(1 + i % (K * 8))));
          case "one-far-row" ->
              List.of(made(600, 8, i -> (float) random.nextGaussian() + (i < 8 ? 300 : 0)));
          default -> throw new IllegalArgumentException(kind);
        };
    for (VectorBlock block : blocks) {
      for (int i = 0; i < block.values().length; i++) {
        block.values()[i] *= scale;
      }
    }
    return new LocalRows(List.of(blocks), 1);
  }

  private interface Value {
    float at(int index);
  }

  private static VectorBlock made(int rows, int dimension, Value value) {
    float[] values = new float[rows * dimension];
    long[] keys = new long[rows];
    Arrays.setAll(keys, i -> new SplitMix64(i).nextLong());
    for (int i = 0; i < values.length; i++) {
      values[i] = value.at(i);
    }
    return new VectorBlock(0, 0, keys, values);
  }

  @ParameterizedTest
  @CsvSource({
    "clusters, 1, 2",
    "clusters, 1e-3, 8",
    "clusters, 1e3, 1.2",
    "fewer-clusters-than-centres, 1, 5",
    "line, 1, 3",
    "repeated, 1, 2",
    "repeated, 1e-4, 6",
    "one-far-row, 1, 4"
  })
  void perplexityAndMassAreReached(String kind, float scale, double target) {
    ConceptSettings settings =
        Settings.load(List.of(), List.of("concepts.k=" + K, "concepts.target-perplexity=" + target))
            .concepts();

    Clustering found = Clustering.of(rows(kind, scale), settings, 5, Lloyd::gemm);

    assertThat(found.perplexity()).isCloseTo(target, withPercentage(2));
    assertThat(Arrays.stream(found.perplexities().rows()).sum()).isEqualTo(600);
    assertThat(found.topMass()).isGreaterThanOrEqualTo(0.95);
    assertThat(found.topK()).isBetween(1, K);
  }
}
