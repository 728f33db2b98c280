package io.github.kklip.kmeans;

import static io.github.kklip.config.Message.message;

import java.io.Serializable;

/**
 * What must be known of the rows before anything can be summed over them.
 *
 * @param largest the largest absolute coordinate
 * @param largestSquare the largest squared norm
 * @param sumOfSquares the sum of the squared norms, on the grid
 */
public record RowStatistics(
    long rows, int dimension, double largest, double largestSquare, double sumOfSquares)
    implements Serializable {

  /** Looks at all rows twice; a row with NaN or infinity is refused. */
  public static RowStatistics of(VectorRows rows) {
    RowStatistics bounds = rows.fold(Centres.NONE, new StatisticsFold());
    return new RowStatistics(
        bounds.rows,
        bounds.dimension,
        bounds.largest,
        bounds.largestSquare,
        bounds.sumOfSquares(rows));
  }

  /** The sum of the squared norms of some rows, exact on the grid of these totals. */
  double sumOfSquares(VectorRows some) {
    return some.fold(Centres.NONE, new Squares(squares()));
  }

  /** The grid for sums of coordinates. */
  Grid coordinates() {
    return Grid.of(rows, largest);
  }

  /** The grid for sums of squared distances to centres that lie within the rows' convex hull. */
  Grid squares() {
    return Grid.of(rows, 4 * largestSquare);
  }

  private static final class StatisticsFold implements Fold<RowStatistics> {
    private static final long serialVersionUID = 1;

    @Override
    public RowStatistics zero() {
      return new RowStatistics(0, 0, 0, 0, 0);
    }

    @Override
    public RowStatistics add(RowStatistics sofar, VectorBlock block, Distances distances) {
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
              message(
                  "Cannot cluster the embeddings because one is not finite: row %s of training shard %s. Embed that shard again.",
                  block.firstRow() + row, block.shard()));
        }
        largestSquare = Math.max(largestSquare, square);
      }
      return merge(sofar, new RowStatistics(block.rows(), dimension, largest, largestSquare, 0));
    }

    @Override
    public RowStatistics merge(RowStatistics left, RowStatistics right) {
      return new RowStatistics(
          left.rows + right.rows,
          Math.max(left.dimension, right.dimension),
          Math.max(left.largest, right.largest),
          Math.max(left.largestSquare, right.largestSquare),
          0);
    }
  }

  private record Squares(Grid grid) implements Fold<Double> {
    @Override
    public Double zero() {
      return 0.0;
    }

    @Override
    public Double add(Double sofar, VectorBlock block, Distances distances) {
      double sum = sofar;
      for (double square : block.squares()) {
        sum += grid.round(square);
      }
      return sum;
    }

    @Override
    public Double merge(Double left, Double right) {
      return left + right;
    }
  }
}
