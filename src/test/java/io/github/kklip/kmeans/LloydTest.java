package io.github.kklip.kmeans;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Offset.offset;

import java.util.List;
import org.junit.jupiter.api.Test;

class LloydTest {
  private static LocalRows line(float... values) {
    return new LocalRows(
        List.of(List.of(new VectorBlock(0, 0, new long[values.length], values))), 1);
  }

  private static Centres onLine(float... values) {
    return new Centres(values.length, 1, values);
  }

  private static Lloyd.LloydResult run(VectorRows rows, Centres start, int iterations) {
    return Lloyd.run(Lloyd.gemm(rows, RowStatistics.of(rows)), start, iterations, 1e-6);
  }

  @Test
  void movesCentresToTheMeansOfTheirRows() {
    // {0} {1 9 10}, then {0 1} {9 10}, then nothing moves.
    Lloyd.LloydResult result = run(line(0, 1, 9, 10), onLine(0, 1), 10);
    assertThat(result.centres().values()).containsExactly(0.5f, 9.5f);
    assertThat(result.converged()).isTrue();
    assertThat(result.iterations()).isEqualTo(3);
    assertThat(result.inertia().get(0)).isEqualTo(0 + 0 + 64 + 81);
    // Centres 0 and 20/3.
    assertThat(result.inertia().get(1)).isCloseTo(1 + 49.0 / 9 + 100.0 / 9, offset(1e-4));
    assertThat(result.inertia().get(2)).isEqualTo(1);
  }

  @Test
  void stopsAtTheLastIteration() {
    Lloyd.LloydResult result = run(line(0, 1, 9, 10), onLine(0, 1), 1);
    assertThat(result.iterations()).isEqualTo(1);
    assertThat(result.converged()).isFalse();
    assertThat(result.centres().values()).containsExactly(0f, 20f / 3);
  }

  @Test
  void aCentreWithoutRowsGoesToTheFarthestRow() {
    // All rows are nearest to 0.5; the other centre restarts at 10.
    Lloyd.LloydResult result = run(line(0, 1, 9, 10), onLine(0.5f, 100), 10);
    assertThat(result.centres().values()).containsExactly(0.5f, 9.5f);
  }

  @Test
  void emptyCentresRestartAtDifferentRows() {
    Lloyd.LloydResult result = run(line(0, 10, 10, 10, 20, 20), onLine(1, 500, 600), 10);
    assertThat(result.centres().values()).containsExactlyInAnyOrder(0f, 10f, 20f);
    assertThat(result.inertia().get(result.iterations() - 1)).isEqualTo(0);
  }

  @Test
  void bitwiseEqualForEveryPartitioning() {
    List<VectorBlock> blocks = RandomRows.blocks(5, 300, 17, 12, 3);
    Lloyd.LloydResult one = cluster(RandomRows.dealt(blocks, 1));
    for (int partitions : new int[] {2, 5, 11}) {
      Lloyd.LloydResult other = cluster(RandomRows.dealt(blocks, partitions));
      assertThat(other.centres().values()).isEqualTo(one.centres().values());
      assertThat(other.inertia()).isEqualTo(one.inertia());
    }
    assertThat(one.inertia()).isSortedAccordingTo((a, b) -> Double.compare(b, a));
  }

  private static Lloyd.LloydResult cluster(VectorRows rows) {
    RowStatistics totals = RowStatistics.of(rows);
    Centres start = ParallelStart.centres(rows, totals, 12, 2, 7);
    return Lloyd.run(Lloyd.gemm(rows, totals), start, 8, 0);
  }

  @Test
  void refusesARowThatIsNotFinite() {
    assertThatThrownBy(() -> RowStatistics.of(line(0, 1, Float.NaN)))
        .hasMessage(
            "Cannot cluster the embeddings because one is not finite: row 2 of training shard 0."
                + " Embed that shard again.");
  }
}
