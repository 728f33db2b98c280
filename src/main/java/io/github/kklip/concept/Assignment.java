package io.github.kklip.concept;

import java.io.Serializable;
import java.nio.ByteBuffer;
import java.util.Arrays;

/** Rows assigned to their nearest centres, and summed by centre. */
final class Assignment implements Serializable {
  private static final long serialVersionUID = 1;

  /** Rows of each centre. */
  private final long[] sizes;

  /** Sum of the rows of each centre, k &times; dimension. */
  private final double[] sums;

  private Assignment(int k, int dimension) {
    this(new long[k], new double[k * dimension]);
  }

  private Assignment(long[] sizes, double[] sums) {
    this.sizes = sizes;
    this.sums = sums;
  }

  /** Java's serialization takes many times as long for an array of doubles as for their bytes. */
  private record Packed(long[] sizes, byte[] sums) implements Serializable {
    private Object readResolve() {
      double[] unpacked = new double[sums.length / Double.BYTES];
      ByteBuffer.wrap(sums).asDoubleBuffer().get(unpacked);
      return new Assignment(sizes, unpacked);
    }
  }

  private Object writeReplace() {
    byte[] packed = new byte[sums.length * Double.BYTES];
    ByteBuffer.wrap(packed).asDoubleBuffer().put(sums);
    return new Packed(sizes, packed);
  }

  long[] sizes() {
    return sizes;
  }

  long rows() {
    return Arrays.stream(sizes).sum();
  }

  /** Assigns all rows and sums them by centre. */
  static Assignment of(Rows rows, Totals totals, Centres centres) {
    return rows.fold(centres, new Pass(centres.k(), totals.coordinates(), totals.dimension()));
  }

  /**
   * The sum of squared distances, from the sums alone: &Sigma;||x||&sup2; - 2 &Sigma; c&middot;sum
   * + &Sigma; size ||c||&sup2;.
   *
   * @param sumOfSquares the first sum, over the same rows
   */
  double inertia(Centres centres, double sumOfSquares) {
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
   * @param counted rows of each centre before; those of this assignment are added
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

  private record Pass(int k, Grid coordinates, int dimension) implements Fold<Assignment> {
    @Override
    public Assignment zero() {
      return new Assignment(k, dimension);
    }

    @Override
    public Assignment add(Assignment sofar, Block block, Distances distances) {
      int[] nearest = distances.assign(block);
      double shift = coordinates.shift();
      float[] values = block.values();
      double[] sums = sofar.sums;
      int from = 0;
      for (int centre : nearest) {
        sofar.sizes[centre]++;
        int to = centre * dimension;
        for (int j = 0; j < dimension; j++) {
          // On the grid, see Grid: the sum is exact.
          sums[to + j] += (values[from + j] + shift) - shift;
        }
        from += dimension;
      }
      return sofar;
    }

    @Override
    public Assignment merge(Assignment left, Assignment right) {
      for (int c = 0; c < k; c++) {
        left.sizes[c] += right.sizes[c];
      }
      for (int j = 0; j < left.sums.length; j++) {
        left.sums[j] += right.sums[j];
      }
      return left;
    }
  }
}
