package io.github.kklip.concept;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.github.kklip.kmeans.Centres;
import io.github.kklip.kmeans.LocalRows;
import io.github.kklip.kmeans.ParallelStart;
import io.github.kklip.kmeans.PickedRow;
import io.github.kklip.kmeans.RandomRows;
import io.github.kklip.kmeans.RowStatistics;
import io.github.kklip.kmeans.VectorBlock;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class SilhouetteTest {
  private static List<PickedRow> line(float... values) {
    return java.util.stream.IntStream.range(0, values.length)
        .mapToObj(i -> new PickedRow(0, i, 0, new float[] {values[i]}))
        .toList();
  }

  @Test
  void isTheDefinition() {
    // Concepts {0, 2} and {10}: a row alone counts 0; (10 - 2) / 10 and (8 - 2) / 8.
    Silhouette silhouette = Silhouette.of(line(0, 2, 10), new Centres(2, 1, new float[] {1, 10}));

    assertThat(silhouette.rows()).isEqualTo(3);
    assertThat(silhouette.mean()).isCloseTo((0.8 + 0.75 + 0) / 3, within(1e-6));
  }

  @Test
  void oneConceptHasNoNeighbour() {
    assertThat(Silhouette.of(line(0, 1, 2), new Centres(1, 1, new float[] {1})).mean()).isZero();
  }

  @Test
  void theSampleDoesNotDependOnThePartitions() {
    List<VectorBlock> blocks = RandomRows.blocks(2, 1500, 4, 5, 3);
    List<Double> means =
        Stream.of(1, 3)
            .map(
                parts -> {
                  LocalRows rows = RandomRows.dealt(blocks, parts);
                  RowStatistics totals = RowStatistics.of(rows);
                  Centres centres = ParallelStart.onSample(rows, totals, 5, 1);
                  return Silhouette.of(rows, totals, centres, 1).mean();
                })
            .toList();
    assertThat(means.get(0)).isGreaterThan(0.3);
    assertThat(means.get(1)).isEqualTo(means.get(0));
  }
}
