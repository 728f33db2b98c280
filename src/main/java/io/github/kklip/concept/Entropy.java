package io.github.kklip.concept;

import io.github.kklip.kmeans.Centres;
import io.github.kklip.kmeans.Distances;
import io.github.kklip.kmeans.Fold;
import io.github.kklip.kmeans.Grid;
import io.github.kklip.kmeans.VectorBlock;
import io.github.kklip.kmeans.VectorRows;
import java.util.Arrays;

/** Perplexity of the soft labels, exp(mean entropy over the rows), at some temperatures. */
record Entropy(double[] temperatures, Grid grid) implements Fold<double[]> {

  static double[] perplexities(
      VectorRows rows, long count, Centres centres, double[] temperatures) {
    Grid grid = Grid.of(count, Math.log(centres.k()) + 1);
    double[] sums = rows.fold(centres, new Entropy(temperatures, grid));
    return Arrays.stream(sums).map(sum -> Math.exp(sum / count)).toArray();
  }

  @Override
  public double[] zero() {
    return new double[temperatures.length];
  }

  @Override
  public double[] add(double[] sofar, VectorBlock block, Distances distances) {
    float[][] entropies = distances.entropies(block, temperatures);
    for (int i = 0; i < sofar.length; i++) {
      for (float entropy : entropies[i]) {
        sofar[i] += grid.round(entropy);
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
