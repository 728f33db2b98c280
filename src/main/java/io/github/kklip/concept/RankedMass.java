package io.github.kklip.concept;

import io.github.kklip.kmeans.Centres;
import io.github.kklip.kmeans.Distances;
import io.github.kklip.kmeans.Fold;
import io.github.kklip.kmeans.Grid;
import io.github.kklip.kmeans.VectorBlock;
import io.github.kklip.kmeans.VectorRows;
import java.util.Arrays;

/** Mean probability of a row's most probable concept, of its second, and so on. */
record RankedMass(int k, double temperature, Grid grid) implements Fold<double[]> {

  static double[] of(VectorRows rows, long count, Centres centres, double temperature) {
    double[] sums = rows.fold(centres, new RankedMass(centres.k(), temperature, Grid.of(count, 1)));
    return Arrays.stream(sums).map(sum -> sum / count).toArray();
  }

  @Override
  public double[] zero() {
    return new double[k];
  }

  @Override
  public double[] add(double[] sofar, VectorBlock block, Distances distances) {
    float[] ranked = distances.ranked(block, temperature);
    for (int from = 0; from < ranked.length; from += k) {
      for (int rank = 0; rank < k; rank++) {
        sofar[rank] += grid.round(ranked[from + rank]);
      }
    }
    return sofar;
  }

  @Override
  public double[] merge(double[] left, double[] right) {
    Arrays.setAll(left, i -> left[i] + right[i]);
    return left;
  }
}
