package io.github.kklip.kmeans;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

class ParallelStartTest {
  private static LocalRows line(float... values) {
    long[] keys = LongStream.range(0, values.length).toArray();
    return new LocalRows(List.of(List.of(new VectorBlock(0, 0, keys, values))), 1);
  }

  private static float[] start(VectorRows rows, int k, long seed) {
    return ParallelStart.centres(rows, RowStatistics.of(rows), k, 2, seed).values();
  }

  @Test
  void findsEachOfAsManyGroupsAsCentres() {
    for (long seed = 0; seed < 10; seed++) {
      float[] centres = start(line(0, 0, 0, 50, 50, 100, 100, 100), 3, seed);
      assertThat(centres).containsExactlyInAnyOrder(0, 50, 100);
    }
  }

  @Test
  void oneRowForEachCentre() {
    assertThat(start(line(1, 2, 3, 4), 4, 5)).containsExactlyInAnyOrder(1, 2, 3, 4);
  }

  @Test
  void theSeedDecides() {
    LocalRows rows = RandomRows.dealt(RandomRows.blocks(2, 200, 4, 30, 1), 1);
    assertThat(start(rows, 10, 1)).isEqualTo(start(rows, 10, 1)).isNotEqualTo(start(rows, 10, 2));
  }

  @Test
  void refusesMoreCentresThanDistinctRows() {
    assertThatThrownBy(() -> start(line(1, 2, 2, 1, 1), 3, 0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "Cannot make 3 concepts because the training rows have only 2 distinct embeddings."
                + " Set concepts.k to at most that.");
  }

  @Test
  void aCandidateWithoutRowsIsNotTakenWhileThereIsAnother() {
    Centres candidates = new Centres(3, 1, new float[] {0, 5, 1000});
    for (long seed = 0; seed < 20; seed++) {
      float[] chosen = ParallelStart.plusPlus(candidates, new long[] {10, 10, 0}, 2, seed).values();
      assertThat(chosen).containsExactlyInAnyOrder(0, 5);
    }
  }
}
