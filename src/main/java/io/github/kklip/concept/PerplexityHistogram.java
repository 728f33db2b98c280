package io.github.kklip.concept;

import io.github.kklip.kmeans.Centres;
import io.github.kklip.kmeans.Distances;
import io.github.kklip.kmeans.Fold;
import io.github.kklip.kmeans.VectorBlock;
import io.github.kklip.kmeans.VectorRows;
import java.io.Serializable;

/**
 * How many rows have a soft label of about which perplexity, exp(entropy): how many concepts a
 * caption belongs to.
 *
 * @param edges lower edges of the bins, from 1 to k in equal steps of the logarithm, and the last
 *     upper one
 * @param rows of each bin
 */
record PerplexityHistogram(double[] edges, long[] rows) implements Serializable {
  private static final int BINS = 24;

  static PerplexityHistogram of(VectorRows rows, Centres centres, double temperature) {
    double[] edges = new double[BINS + 1];
    for (int i = 0; i < edges.length; i++) {
      edges[i] = Math.pow(centres.k(), (double) i / BINS);
    }
    return new PerplexityHistogram(
        edges, rows.fold(centres, new HistogramFold(Math.log(centres.k()), temperature)));
  }

  private record HistogramFold(double largest, double temperature) implements Fold<long[]> {
    @Override
    public long[] zero() {
      return new long[BINS];
    }

    @Override
    public long[] add(long[] sofar, VectorBlock block, Distances distances) {
      for (float entropy : distances.entropies(block, new double[] {temperature})[0]) {
        int bin = (int) (BINS * entropy / largest);
        sofar[Math.max(0, Math.min(BINS - 1, bin))]++;
      }
      return sofar;
    }

    @Override
    public long[] merge(long[] left, long[] right) {
      for (int i = 0; i < BINS; i++) {
        left[i] += right[i];
      }
      return left;
    }
  }
}
