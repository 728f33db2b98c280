package io.github.kklip.concept;

import java.io.Serializable;

/**
 * Consecutive rows of one shard: the unit of every multiplication. Blocks are cut by position in
 * the shard and never by partition, so that each product has the same shape on every cluster.
 *
 * @param shard position of the shard in the dataset's order
 * @param firstRow row of the shard that the block starts with
 * @param keys one hash of the pair's id for each row, for sampling
 * @param values rows &times; dimension, row-major
 */
record Block(int shard, int firstRow, long[] keys, float[] values) implements Serializable {

  /**
   * Rows of a block: enough for an efficient product, few enough that scores stay in the cache. Not
   * 1024: with its header, an array of a power of two bytes takes two regions of a G1 heap instead
   * of one, and a heap that fits the rows twice runs out.
   */
  static final int ROWS = 1008;

  int rows() {
    return keys.length;
  }

  int dimension() {
    return values.length / keys.length;
  }
}
