package io.github.kklip.concept;

import java.io.Serializable;

/**
 * What must be known of the rows before anything can be summed over them.
 *
 * @param largest the largest absolute coordinate
 * @param largestSquare the largest squared norm
 */
record Totals(long rows, int dimension, double largest, double largestSquare)
    implements Serializable {

  /** Looks at all rows once; a row with NaN or infinity is refused. */
  static Totals of(Rows rows) {
    return rows.fold(Centres.NONE, new Pass());
  }

  /** The grid for sums of coordinates. */
  Grid coordinates() {
    return Grid.of(rows, largest);
  }

  /** The grid for sums of squared distances to centres that lie within the rows' convex hull. */
  Grid squares() {
    return Grid.of(rows, 4 * largestSquare);
  }

  private static final class Pass implements Fold<Totals> {
    private static final long serialVersionUID = 1;

    @Override
    public Totals zero() {
      return new Totals(0, 0, 0, 0);
    }

    @Override
    public Totals add(Totals sofar, Block block, Distances distances) {
      int dimension = block.dimension();
      double largest = 0;
      double largestSquare = 0;
      for (int row = 0; row < block.rows(); row++) {
        double square = 0;
        for (int j = row * dimension; j < (row + 1) * dimension; j++) {
          double value = block.values()[j];
          square += value * value;
          largest = Math.max(largest, Math.abs(value));
        }
        if (!Double.isFinite(square)) {
          throw new IllegalArgumentException(
              "Cannot cluster the embeddings because one is not finite: row "
                  + (block.firstRow() + row)
                  + " of training shard "
                  + block.shard()
                  + ". Embed that shard again.");
        }
        largestSquare = Math.max(largestSquare, square);
      }
      return merge(sofar, new Totals(block.rows(), dimension, largest, largestSquare));
    }

    @Override
    public Totals merge(Totals left, Totals right) {
      return new Totals(
          left.rows + right.rows,
          Math.max(left.dimension, right.dimension),
          Math.max(left.largest, right.largest),
          Math.max(left.largestSquare, right.largestSquare));
    }
  }
}
