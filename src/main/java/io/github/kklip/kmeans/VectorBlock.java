package io.github.kklip.kmeans;

import java.io.Serializable;

/**
 * Consecutive rows of one shard: the unit of every multiplication. Blocks are cut by position in
 * the shard and never by partition.
 */
public final class VectorBlock implements Serializable {
  private static final long serialVersionUID = 1;

  /**
   * Rows of a block: enough for an efficient product, few enough that scores stay in the cache. Not
   * 1024: with its header, an array of a power of two bytes takes two regions of a G1 heap instead
   * of one, and a heap that fits the rows twice runs out.
   */
  public static final int ROWS = 1008;

  private final int shard;
  private final int firstRow;
  private final long[] keys;
  private final float[] values;
  private transient Leftover leftover;

  /**
   * @param shard position of the shard in the dataset's order
   * @param firstRow row of the shard that the block starts with
   * @param keys one hash of the pair's id for each row, for sampling
   * @param values rows &times; dimension, row-major
   */
  public VectorBlock(int shard, int firstRow, long[] keys, float[] values) {
    this.shard = shard;
    this.firstRow = firstRow;
    this.keys = keys;
    this.values = values;
  }

  int shard() {
    return shard;
  }

  int firstRow() {
    return firstRow;
  }

  long[] keys() {
    return keys;
  }

  public float[] values() {
    return values;
  }

  public int rows() {
    return keys.length;
  }

  public int dimension() {
    return values.length / keys.length;
  }

  /** Squared norm of each row. */
  double[] squares() {
    double[] squares = new double[rows()];
    int dimension = dimension();
    for (int row = 0; row < squares.length; row++) {
      double square = 0;
      for (int j = row * dimension; j < (row + 1) * dimension; j++) {
        square += (double) values[j] * values[j];
      }
      squares[row] = square;
    }
    return squares;
  }

  /**
   * What a pass leaves with the part of the rows that begins with a block. It is only ever a
   * shortcut.
   */
  interface Leftover {}

  /**
   * What the last pass left, for one task to use and change; null where no pass was, another copy
   * of the block had it, or a task that runs a second time has taken it.
   */
  synchronized Leftover take() {
    Leftover taken = leftover;
    leftover = null;
    return taken;
  }

  synchronized void keep(Leftover latest) {
    leftover = latest;
  }
}
