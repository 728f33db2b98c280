package io.github.kklip.concept;

import io.github.kklip.kmeans.Centres;
import io.github.kklip.kmeans.Lloyd;
import io.github.kklip.kmeans.VectorBlock;
import java.util.ArrayList;
import java.util.List;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.mllib.clustering.KMeans;
import org.apache.spark.mllib.clustering.KMeansModel;
import org.apache.spark.mllib.linalg.Vector;
import org.apache.spark.mllib.linalg.Vectors;
import org.apache.spark.storage.StorageLevel;

/**
 * Lloyd's algorithm by Spark MLlib, one iteration at a time so that the inertia of each is known.
 * Slower than the products of {@link Lloyd#gemm}, and an independent check of them. A centre
 * without rows stays where it is.
 */
final class MLlibEngine implements Lloyd.Engine, AutoCloseable {
  private final JavaRDD<Vector> rows;

  MLlibEngine(SparkRows rows) {
    this.rows =
        rows.blocks()
            .flatMap(block -> vectors(block).iterator())
            .persist(StorageLevel.MEMORY_AND_DISK());
  }

  private static List<Vector> vectors(VectorBlock block) {
    List<Vector> vectors = new ArrayList<>(block.rows());
    for (int row = 0; row < block.rows(); row++) {
      vectors.add(vector(block.values(), row, block.dimension()));
    }
    return vectors;
  }

  private static Vector vector(float[] values, int row, int dimension) {
    double[] vector = new double[dimension];
    for (int j = 0; j < dimension; j++) {
      vector[j] = values[row * dimension + j];
    }
    return Vectors.dense(vector);
  }

  @Override
  public Lloyd.Step step(Centres centres) {
    Vector[] start = new Vector[centres.k()];
    for (int c = 0; c < start.length; c++) {
      start[c] = vector(centres.values(), c, centres.dimension());
    }
    KMeansModel model =
        new KMeans()
            .setK(centres.k())
            .setInitialModel(new KMeansModel(start))
            .setMaxIterations(1)
            .setEpsilon(0)
            .run(rows.rdd());
    List<float[]> moved = new ArrayList<>();
    for (Vector centre : model.clusterCenters()) {
      float[] values = new float[centre.size()];
      for (int j = 0; j < values.length; j++) {
        values[j] = (float) centre.apply(j);
      }
      moved.add(values);
    }
    // MLlib sums the cost while it assigns, so it is that of the centres before the move.
    return new Lloyd.Step(model.trainingCost(), Centres.of(moved));
  }

  @Override
  public void close() {
    rows.unpersist(false);
  }
}
