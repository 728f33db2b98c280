package io.github.kklip.kmeans;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.config.SplitMix64;
import io.github.kklip.tensor.TestDevice;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a pass remembers saves work and changes no bit. */
class HamerlyPassTest {
  private static final int SHARDS = 4;
  private static final int SHARD_ROWS = 700;
  private static final int DIMENSION = 19;

  /** Shards of which every row comes twice, and some a hundred times. */
  private static List<VectorBlock> blocks(int dimension, int clusters, long seed) {
    List<VectorBlock> blocks =
        new ArrayList<>(RandomRows.blocks(SHARDS, SHARD_ROWS, dimension, clusters, seed));
    for (VectorBlock block : List.copyOf(blocks)) {
      blocks.add(
          new VectorBlock(SHARDS + block.shard(), block.firstRow(), block.keys(), block.values()));
    }
    float[] same = new float[100 * dimension];
    Arrays.fill(same, 0.25f);
    blocks.add(new VectorBlock(2 * SHARDS, 0, new long[100], same));
    return blocks;
  }

  /** The engine that remembers nothing. */
  private static Lloyd.Engine forgetful(VectorRows rows, RowStatistics totals) {
    return centres -> {
      CentreSums sums = Lloyd.sums(rows, totals, centres);
      Centres moved = sums.means(centres);
      Lloyd.reseed(rows, centres, sums.sizes(), moved);
      return new Lloyd.Step(sums.inertia(centres, totals.sumOfSquares()), moved);
    };
  }

  /** On a line the bounds are as tight as they can be. */
  @ParameterizedTest
  @CsvSource({
    "19, 3, 5",
    "19, 40, 37",
    "19, 10, 300",
    "19, 6, 1",
    "1, 2, 2",
    "1, 9, 20",
    "2, 30, 60"
  })
  void everyStepIsThatOfAPassThatRemembersNothing(int dimension, int clusters, int k) {
    List<VectorBlock> blocks = blocks(dimension, clusters, 7L * k);
    LocalRows rows = RandomRows.dealt(blocks, 3);
    RowStatistics totals = RowStatistics.of(rows);
    Lloyd.Engine remembering = Lloyd.gemm(rows, totals);
    Lloyd.Engine forgetful = forgetful(RandomRows.dealt(blocks, 1), totals);
    SplitMix64 random = new SplitMix64(k);
    Centres centres = ParallelStart.centres(rows, totals, k, 2, 5);
    for (int i = 0; i < 25; i++) {
      Lloyd.Step step = remembering.step(centres);
      Lloyd.Step expected = forgetful.step(centres);
      assertThat(step.centres().values())
          .as("iteration %d", i)
          .isEqualTo(expected.centres().values());
      assertThat(step.inertia()).as("iteration %d", i).isEqualTo(expected.inertia());
      centres = step.centres();
      if (i % 6 == 4) {
        // Some other task, or another executor, has what a pass left with a part.
        rows.partitions().get(random.nextInt(3)).get(0).take();
      }
      if (i % 8 == 7) {
        // One centre jumps, as a centre without rows does.
        int jumping = random.nextInt(k) * dimension;
        centres.values()[jumping] += 3;
      }
    }
  }

  @Test
  void rowsWhoseBoundsHoldAreNotLookedAt() {
    VectorBlock block = RandomRows.blocks(1, 128, DIMENSION, 4, 3).get(0);
    LocalRows rows = new LocalRows(List.of(List.of(block)), 1);
    RowStatistics totals = RowStatistics.of(rows);
    Centres centres = Lloyd.run(forgetful(rows, totals), start(block, 4), 20, 0).centres();
    HamerlyPass first = HamerlyPass.after(null, totals, centres);
    CentreSums expected = rows.fold(centres, first);
    HamerlyPass second = HamerlyPass.after(first, totals, centres);
    // Had a row been looked at, it would have gone to another centre here.
    Centres elsewhere = new Centres(4, DIMENSION, new float[4 * DIMENSION]);
    CentreSums again = rows.fold(elsewhere, second);
    assertThat(again.sizes()).isEqualTo(expected.sizes());
    assertThat(again.means(centres).values()).isEqualTo(expected.means(centres).values());
  }

  private static Centres start(VectorBlock block, int k) {
    return new Centres(k, DIMENSION, Arrays.copyOf(block.values(), k * DIMENSION));
  }

  /** A second attempt finds nothing and does all itself. */
  @Test
  void whatAPassLeavesServesOneTask() {
    VectorBlock block = RandomRows.blocks(1, 100, DIMENSION, 4, 3).get(0);
    LocalRows rows = new LocalRows(List.of(List.of(block)), 1);
    RowStatistics totals = RowStatistics.of(rows);
    Centres centres = start(block, 4);
    HamerlyPass first = HamerlyPass.after(null, totals, centres);
    rows.fold(centres, first);
    Centres moved = start(block, 4).unitLength();
    HamerlyPass second = HamerlyPass.after(first, totals, moved);
    CentreSums once = rows.fold(moved, second);
    CentreSums twice = rows.fold(moved, second);
    assertThat(twice.sizes()).isEqualTo(once.sizes());
    assertThat(twice.means(moved).values()).isEqualTo(once.means(moved).values());
    assertThat(((PassCache) block.take()).pass()).isPositive();
    assertThat(block.take()).isNull();
  }

  /**
   * Rows beside the border between two centres, all a hundred from the origin: float32 gets the
   * products wrong by more than what decides.
   */
  @Test
  void whereFloat32CannotTellTheNearestFloat64Does() {
    int dimension = 64;
    SplitMix64 random = new SplitMix64(11);
    float[] base = new float[dimension];
    for (int j = 0; j < dimension; j++) {
      base[j] = (float) (100 * random.nextGaussian());
    }
    float[] centres = new float[2 * dimension];
    float[] values = new float[400 * dimension];
    for (int j = 0; j < dimension; j++) {
      float step = (float) random.nextGaussian();
      centres[j] = base[j] - step;
      centres[dimension + j] = base[j] + step;
      for (int row = 0; row < 400; row++) {
        values[row * dimension + j] = base[j] + (row - 200) * 1e-5f * step;
      }
    }
    int[] expected = new int[400];
    for (int row = 0; row < 400; row++) {
      double difference = 0;
      for (int j = 0; j < dimension; j++) {
        double x = values[row * dimension + j];
        difference += Math.pow(x - centres[j], 2) - Math.pow(x - centres[dimension + j], 2);
      }
      expected[row] = difference <= 0 ? 0 : 1;
    }
    try (Distances distances =
        new Distances(new Centres(2, dimension, centres), 1, TestDevice.NAME)) {
      VectorBlock block = new VectorBlock(0, 0, new long[400], values);
      assertThat(distances.assign(block)).isEqualTo(expected);
      assertThat(distances.nearest(block).centres()).as("float32 alone").isNotEqualTo(expected);
    }
  }
}
