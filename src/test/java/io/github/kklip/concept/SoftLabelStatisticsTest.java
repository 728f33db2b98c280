package io.github.kklip.concept;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Offset.offset;
import static org.assertj.core.data.Percentage.withPercentage;

import io.github.kklip.kmeans.Centres;
import io.github.kklip.kmeans.LocalRows;
import io.github.kklip.kmeans.ParallelStart;
import io.github.kklip.kmeans.RandomRows;
import io.github.kklip.kmeans.RowStatistics;
import io.github.kklip.kmeans.VectorBlock;
import java.util.List;
import org.junit.jupiter.api.Test;

class SoftLabelStatisticsTest {
  private static final Centres CENTRES = new Centres(2, 1, new float[] {0, 2});
  private static final double TAU = 4 / Math.log(3);

  /** At the first centre, and halfway: labels (3/4, 1/4) and (1/2, 1/2) at {@link #TAU}. */
  private static final LocalRows ROWS =
      new LocalRows(List.of(List.of(new VectorBlock(0, 0, new long[2], new float[] {0, 1}))), 1);

  @Test
  void perplexityIsTheExponentialOfTheMeanEntropy() {
    double entropy = (-0.75 * Math.log(0.75) - 0.25 * Math.log(0.25) + Math.log(2)) / 2;
    assertThat(Entropy.perplexities(ROWS, 2, CENTRES, new double[] {TAU}))
        .containsExactly(new double[] {Math.exp(entropy)}, offset(1e-6));
  }

  @Test
  void rankedMassIsTheMeanOverRows() {
    assertThat(RankedMass.of(ROWS, 2, CENTRES, TAU))
        .containsExactly(new double[] {0.625, 0.375}, offset(1e-6));
  }

  @Test
  void automaticTemperatureReachesThePerplexityOverAllRows() {
    LocalRows rows = RandomRows.dealt(RandomRows.blocks(3, 200, 8, 10, 4), 2);
    RowStatistics totals = RowStatistics.of(rows);
    Centres centres = ParallelStart.centres(rows, totals, 10, 2, 0);
    double before = 0;
    for (double target : new double[] {1.5, 3, 6, 9}) {
      Temperature.FoundTemperature found =
          Temperature.reaching(
              target, 1, taus -> Entropy.perplexities(rows, totals.rows(), centres, taus));
      assertThat(found.perplexity()).isCloseTo(target, withPercentage(0.1));
      assertThat(found.temperature()).isGreaterThan(before);
      before = found.temperature();
    }
  }

  @Test
  void statisticsAreBitwiseEqualForEveryPartitioning() {
    List<VectorBlock> blocks = RandomRows.blocks(3, 200, 8, 10, 4);
    Centres centres = Centres.of(List.of(new float[8], new float[] {1, 0, 0, 1, 0, 0, 1, 0}));
    double[] taus = {0.1, 1, 10};
    double[] one = Entropy.perplexities(RandomRows.dealt(blocks, 1), 600, centres, taus);
    double[] mass = RankedMass.of(RandomRows.dealt(blocks, 1), 600, centres, 1);
    for (int partitions : new int[] {2, 3, 6}) {
      LocalRows rows = RandomRows.dealt(blocks, partitions);
      assertThat(Entropy.perplexities(rows, 600, centres, taus)).isEqualTo(one);
      assertThat(RankedMass.of(rows, 600, centres, 1)).isEqualTo(mass);
    }
  }
}
