package io.github.kklip.kmeans;

import java.io.Serializable;
import java.nio.ByteBuffer;
import java.util.Arrays;

/** Rows assigned to their nearest centres, and summed by centre. */
public final class CentreSums implements Serializable {
  private static final long serialVersionUID = 1;

  /** Rows of each centre. */
  private final long[] sizes;

  /** Sum of the rows of each centre, k &times; dimension. */
  private final double[] sums;

  CentreSums(int k, int dimension) {
    this(new long[k], new double[k * dimension]);
  }

  private CentreSums(long[] sizes, double[] sums) {
    this.sizes = sizes;
    this.sums = sums;
  }

  /** Java's serialization takes many times as long for an array of doubles as for their bytes. */
  private record Packed(long[] sizes, byte[] sums) implements Serializable {
    private Object readResolve() {
      double[] unpacked = new double[sums.length / Double.BYTES];
      ByteBuffer.wrap(sums).asDoubleBuffer().get(unpacked);
      return new CentreSums(sizes, unpacked);
    }
  }

  private Object writeReplace() {
    byte[] packed = new byte[sums.length * Double.BYTES];
    ByteBuffer.wrap(packed).asDoubleBuffer().put(sums);
    return new Packed(sizes, packed);
  }

  public long[] sizes() {
    return sizes;
  }

  long rows() {
    return Arrays.stream(sizes).sum();
  }

  /**
   * The sum of squared distances, from the sums alone: &Sigma;||x||&sup2; - 2 &Sigma; c&middot;sum
   * + &Sigma; size ||c||&sup2;.
   *
   * @param sumOfSquares the first sum, over the same rows
   */
  public double inertia(Centres centres, double sumOfSquares) {
    double inertia = sumOfSquares;
    int dimension = centres.dimension();
    for (int c = 0; c < centres.k(); c++) {
      double product = 0;
      double norm = 0;
      for (int j = c * dimension; j < (c + 1) * dimension; j++) {
        double value = centres.values()[j];
        product += value * sums[j];
        norm += value * value;
      }
      inertia += sizes[c] * norm - 2 * product;
    }
    return Math.max(0, inertia);
  }

  /** The mean of each centre's rows; a centre without rows stays where it is. */
  Centres means(Centres before) {
    float[] values = before.values().clone();
    int dimension = before.dimension();
    for (int c = 0; c < sizes.length; c++) {
      if (sizes[c] > 0) {
        for (int j = c * dimension; j < (c + 1) * dimension; j++) {
          values[j] = (float) (sums[j] / sizes[c]);
        }
      }
    }
    return new Centres(before.k(), dimension, values);
  }

  /**
   * Centres as running means over mini-batches: of the rows that {@code before} is the mean of and
   * of these. A centre without any rows stays where it is.
   *
   * @param counted rows of each centre before; those of these sums are added
   */
  Centres runningMeans(Centres before, long[] counted) {
    float[] values = before.values().clone();
    int dimension = before.dimension();
    for (int c = 0; c < sizes.length; c++) {
      counted[c] += sizes[c];
      for (int j = c * dimension; sizes[c] > 0 && j < (c + 1) * dimension; j++) {
        values[j] += (float) ((sums[j] - sizes[c] * (double) values[j]) / counted[c]);
      }
    }
    return new Centres(before.k(), dimension, values);
  }

  /** Adds other rows, summed by the same centres. */
  CentreSums plus(CentreSums other) {
    for (int c = 0; c < sizes.length; c++) {
      sizes[c] += other.sizes[c];
    }
    for (int j = 0; j < sums.length; j++) {
      sums[j] += other.sums[j];
    }
    return this;
  }

  /** Adds a row to a centre. On the grid, see {@link Grid}, the sum is exact. */
  void add(int centre, VectorBlock block, int row, Grid grid) {
    sizes[centre]++;
    double shift = grid.shift();
    float[] values = block.values();
    int dimension = sums.length / sizes.length;
    int from = row * dimension;
    int to = centre * dimension;
    for (int j = 0; j < dimension; j++) {
      sums[to + j] += (values[from + j] + shift) - shift;
    }
  }

  /** Takes away a row that was added: exact too, so that nothing of it is left. */
  void remove(int centre, VectorBlock block, int row, Grid grid) {
    sizes[centre]--;
    double shift = grid.shift();
    float[] values = block.values();
    int dimension = sums.length / sizes.length;
    int from = row * dimension;
    int to = centre * dimension;
    for (int j = 0; j < dimension; j++) {
      sums[to + j] -= (values[from + j] + shift) - shift;
    }
  }

  CentreSums copy() {
    return new CentreSums(sizes.clone(), sums.clone());
  }
}
