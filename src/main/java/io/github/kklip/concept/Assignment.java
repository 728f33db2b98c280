package io.github.kklip.concept;

import java.io.Serializable;

/** Rows assigned to their nearest centres, and summed by centre. */
final class Assignment implements Serializable {
  private static final long serialVersionUID = 1;

  /** Rows of each centre. */
  private final long[] sizes;

  /** Sum of the rows of each centre, k &times; dimension. */
  private final double[] sums;

  /** Sum of the squared norms of all rows. */
  private double squares;

  private Assignment(int k, int dimension) {
    sizes = new long[k];
    sums = new double[k * dimension];
  }

  long[] sizes() {
    return sizes;
  }

  /** Assigns all rows and sums them by centre. */
  static Assignment of(Rows rows, Totals totals, Centres centres) {
    return rows.fold(
        centres, new Pass(centres.k(), totals.coordinates(), totals.squares(), totals.dimension()));
  }

  /**
   * The sum of squared distances, from the sums alone: &Sigma;||x||&sup2; - 2 &Sigma; c&middot;sum
   * + &Sigma; size ||c||&sup2;.
   */
  double inertia(Centres centres) {
    double inertia = squares;
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

  private record Pass(int k, Grid coordinates, Grid squares, int dimension)
      implements Fold<Assignment> {
    @Override
    public Assignment zero() {
      return new Assignment(k, dimension);
    }

    @Override
    public Assignment add(Assignment sofar, Block block, Distances distances) {
      int[] nearest = distances.nearest(block).centres();
      for (int row = 0; row < nearest.length; row++) {
        int centre = nearest[row];
        sofar.sizes[centre]++;
        sofar.squares += addRow(sofar.sums, centre * dimension, block.values(), row * dimension);
      }
      return sofar;
    }

    /** Adds a row to a sum, and returns its squared norm, on the grid. */
    private double addRow(double[] sums, int to, float[] values, int from) {
      double shift = coordinates.shift();
      double norm = 0;
      for (int j = 0; j < dimension; j++) {
        double value = values[from + j];
        sums[to + j] += (value + shift) - shift;
        norm += value * value;
      }
      return squares.round(norm);
    }

    @Override
    public Assignment merge(Assignment left, Assignment right) {
      for (int c = 0; c < k; c++) {
        left.sizes[c] += right.sizes[c];
      }
      for (int j = 0; j < left.sums.length; j++) {
        left.sums[j] += right.sums[j];
      }
      left.squares += right.squares;
      return left;
    }
  }
}
