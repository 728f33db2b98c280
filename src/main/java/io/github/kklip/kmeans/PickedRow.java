package io.github.kklip.kmeans;

import java.io.Serializable;
import java.util.Comparator;

/**
 * A row picked out of the data.
 *
 * @param distance squared distance to the nearest centre
 */
public record PickedRow(int shard, int row, double distance, float[] values)
    implements Serializable {

  static final Comparator<PickedRow> BY_POSITION =
      Comparator.comparingInt(PickedRow::shard).thenComparingInt(PickedRow::row);

  /** Farthest first; equal distances by position, so that the order is total. */
  static final Comparator<PickedRow> FARTHEST =
      Comparator.comparingDouble(PickedRow::distance).reversed().thenComparing(BY_POSITION);

  static PickedRow of(VectorBlock block, int row, double distance) {
    int dimension = block.dimension();
    return new PickedRow(
        block.shard(),
        block.firstRow() + row,
        distance,
        java.util.Arrays.copyOfRange(block.values(), row * dimension, (row + 1) * dimension));
  }
}
