package io.github.kklip.kmeans;

import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** The nearest of k centres for one block of rows. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
public class HamerlyPieces {
  /** Rows' dimension and number of centres. */
  @Param({"256x256", "1024x512"})
  public String size;

  private Distances distances;
  private VectorBlock block;

  /** Draws rows and centres. */
  @Setup
  public void open() {
    int dimension = Integer.parseInt(size.split("x")[0]);
    int k = Integer.parseInt(size.split("x")[1]);
    Random random = new Random(1);
    distances = new Distances(new Centres(k, dimension, draws(random, k * dimension)), 1);
    block =
        new VectorBlock(
            0, 0, new long[VectorBlock.ROWS], draws(random, VectorBlock.ROWS * dimension));
  }

  private static float[] draws(Random random, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  /** One block of {@link VectorBlock#ROWS} rows. */
  @Benchmark
  public int[] assign() {
    return distances.assign(block);
  }

  /** Frees the centres. */
  @TearDown
  public void close() {
    distances.close();
  }
}
