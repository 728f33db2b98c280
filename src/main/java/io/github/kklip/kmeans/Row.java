package io.github.kklip.kmeans;

import java.io.Serializable;
import java.util.Comparator;

/**
 * A row picked out of the data.
 *
 * @param distance squared distance to the nearest centre
 */
public record Row(int shard, int row, double distance, float[] values) implements Serializable {

  static final Comparator<Row> BY_POSITION =
      Comparator.comparingInt(Row::shard).thenComparingInt(Row::row);

  /** Farthest first; equal distances by position, so that the order is total. */
  static final Comparator<Row> FARTHEST =
      Comparator.comparingDouble(Row::distance).reversed().thenComparing(BY_POSITION);

  static Row of(Block block, int row, double distance) {
    int dimension = block.dimension();
    return new Row(
        block.shard(),
        block.firstRow() + row,
        distance,
        java.util.Arrays.copyOfRange(block.values(), row * dimension, (row + 1) * dimension));
  }
}
