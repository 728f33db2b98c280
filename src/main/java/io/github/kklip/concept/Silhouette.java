package io.github.kklip.concept;

import io.github.kklip.kmeans.Centres;
import io.github.kklip.kmeans.Distances;
import io.github.kklip.kmeans.PickedRow;
import io.github.kklip.kmeans.RowSample;
import io.github.kklip.kmeans.RowStatistics;
import io.github.kklip.kmeans.VectorBlock;
import io.github.kklip.kmeans.VectorRows;
import java.util.List;

/**
 * Mean silhouette (Rousseeuw 1987) of a sample: (b - a) / max(a, b), where a is the mean distance
 * of a row to the other rows of its concept and b that to the rows of the nearest other concept,
 * both within the sample. From -1 to 1; a row that is alone in its concept counts 0.
 *
 * @param rows of the sample
 */
record Silhouette(double mean, int rows) {
  /** Rows of the sample for each concept, and the bounds of their sum. */
  private static final int PER_CONCEPT = 8;

  private static final int FEWEST = 2048;
  private static final int MOST = 8192;

  static Silhouette of(VectorRows rows, RowStatistics totals, Centres centres, long seed) {
    long wanted = Math.max(FEWEST, Math.min(MOST, (long) PER_CONCEPT * centres.k()));
    List<PickedRow> sample = RowSample.of(rows, totals, wanted, seed);
    return sample.isEmpty() ? new Silhouette(0, 0) : of(sample, centres);
  }

  /** Of all given rows. */
  static Silhouette of(List<PickedRow> sample, Centres centres) {
    int count = sample.size();
    Centres points = Centres.of(sample.stream().map(PickedRow::values).toList());
    int[] concept = new int[count];
    try (Distances distances = new Distances(centres, 1)) {
      for (int from = 0; from < count; from += VectorBlock.ROWS) {
        int[] nearest = distances.nearest(block(points, from)).centres();
        System.arraycopy(nearest, 0, concept, from, nearest.length);
      }
    }
    int[] sizes = new int[centres.k()];
    for (int c : concept) {
      sizes[c]++;
    }
    double total = 0;
    try (Distances distances = new Distances(points, 1)) {
      for (int from = 0; from < count; from += VectorBlock.ROWS) {
        float[] squared = distances.squared(block(points, from));
        for (int row = 0; row < squared.length / count; row++) {
          total += silhouette(squared, row * count, from + row, concept, sizes);
        }
      }
    }
    return new Silhouette(total / count, count);
  }

  private static VectorBlock block(Centres points, int from) {
    int rows = Math.min(VectorBlock.ROWS, points.k() - from);
    float[] values = new float[rows * points.dimension()];
    System.arraycopy(points.values(), from * points.dimension(), values, 0, values.length);
    return new VectorBlock(0, from, new long[rows], values);
  }

  private static double silhouette(float[] squared, int at, int self, int[] concept, int[] sizes) {
    int own = concept[self];
    if (sizes[own] < 2) {
      return 0;
    }
    double[] sums = new double[sizes.length];
    for (int other = 0; other < concept.length; other++) {
      if (other != self) {
        sums[concept[other]] += Math.sqrt(squared[at + other]);
      }
    }
    double a = sums[own] / (sizes[own] - 1);
    double b = Double.POSITIVE_INFINITY;
    for (int c = 0; c < sizes.length; c++) {
      if (c != own && sizes[c] > 0) {
        b = Math.min(b, sums[c] / sizes[c]);
      }
    }
    double larger = Math.max(a, b);
    return Double.isInfinite(b) || larger == 0 ? 0 : (b - a) / larger;
  }
}
