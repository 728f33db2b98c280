package io.github.kklip.kmeans;

import java.io.Serializable;
import java.util.Arrays;
import java.util.List;

/**
 * Centres of k-means.
 *
 * @param values k &times; dimension, row-major
 */
public record Centres(int k, int dimension, float[] values) implements Serializable {

  /** For a pass that looks at the rows alone. */
  static final Centres NONE = new Centres(0, 0, new float[0]);

  public static Centres of(List<float[]> rows) {
    int dimension = rows.get(0).length;
    float[] values = new float[rows.size() * dimension];
    for (int i = 0; i < rows.size(); i++) {
      System.arraycopy(rows.get(i), 0, values, i * dimension, dimension);
    }
    return new Centres(rows.size(), dimension, values);
  }

  /** Every centre scaled to length 1; one that is 0 stays. */
  Centres unitLength() {
    float[] scaled = values.clone();
    for (int c = 0; c < k; c++) {
      toUnitLength(scaled, c * dimension, dimension);
    }
    return new Centres(k, dimension, scaled);
  }

  public static void toUnitLength(float[] values, int from, int length) {
    double squared = 0;
    for (int j = from; j < from + length; j++) {
      squared += (double) values[j] * values[j];
    }
    double norm = Math.sqrt(squared);
    for (int j = from; norm > 0 && j < from + length; j++) {
      values[j] = (float) (values[j] / norm);
    }
  }

  /** The largest Euclidean distance between a centre and the one of the same number. */
  public double largestMove(Centres other) {
    return Arrays.stream(distances(other)).max().orElse(0);
  }

  /** Euclidean distance of each centre to the one of the same number. */
  double[] distances(Centres other) {
    double[] distances = new double[k];
    for (int c = 0; c < k; c++) {
      double squared = 0;
      for (int j = c * dimension; j < (c + 1) * dimension; j++) {
        double difference = (double) values[j] - other.values[j];
        squared += difference * difference;
      }
      distances[c] = Math.sqrt(squared);
    }
    return distances;
  }
}
