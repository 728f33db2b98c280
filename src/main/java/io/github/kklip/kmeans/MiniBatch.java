package io.github.kklip.kmeans;

import java.util.function.IntFunction;

/**
 * K-means over mini-batches: every iteration assigns the rows of one batch and moves each centre to
 * the running mean of all rows that it ever got (Sculley, Web-Scale K-Means Clustering, WWW 2010,
 * batch by batch instead of row by row). Only the batch has to be read.
 *
 * <p>The inertia of a step is that of its batch, scaled to all rows.
 */
public final class MiniBatch implements Lloyd.Engine {
  private final IntFunction<VectorRows> batches;
  private final RowStatistics totals;
  private final long[] counted;
  private int iteration;

  /**
   * @param batches the rows of each iteration, closed after it
   * @param totals of all rows
   */
  public MiniBatch(IntFunction<VectorRows> batches, RowStatistics totals, int k) {
    this.batches = batches;
    this.totals = totals;
    this.counted = new long[k];
  }

  @Override
  public Lloyd.Step step(Centres centres) {
    try (VectorRows batch = batches.apply(iteration++)) {
      CentreSums sums = Lloyd.sums(batch, totals, centres);
      Centres moved = sums.runningMeans(centres, counted);
      Lloyd.reseed(batch, centres, counted, moved);
      double scale = (double) totals.rows() / sums.rows();
      return new Lloyd.Step(scale * sums.inertia(centres, totals.sumOfSquares(batch)), moved);
    }
  }
}
