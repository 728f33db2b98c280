package io.github.kklip.kmeans;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.config.ElementType;
import io.github.kklip.tensor.Torch;
import io.github.kklip.tensor.TorchModule;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Blocks of rows against one set of centres, by one matrix product a block in libtorch. One object
 * serves one thread: it holds the centres and the copy of one block in native memory.
 */
public final class Distances implements AutoCloseable {
  /** Rows of a product are a multiple of it. */
  private static final int STEP = 48;

  /** Centres between which float64 decides. */
  private static final int CANDIDATES = 64;

  private final NDManager manager;
  private final TorchModule methods;
  private final NDArray centres;
  private final NDArray half;

  /** The centres' values, k &times; dimension. */
  private final float[] values;

  /** Length of the longest centre. */
  private final double longest;

  /** (d + 2) 2<sup>-24</sup>. */
  private final double rounding;

  /** One row's scores. */
  private final float[] line;

  private ByteBuffer buffer = ByteBuffer.allocateDirect(0);

  /** On the CPU. */
  public Distances(Centres centres, int threads) {
    this(centres, threads, "cpu");
  }

  /**
   * @param threads native threads of one product
   * @param device {@code cpu} or {@code cuda:N}
   */
  public Distances(Centres centres, int threads, String device) {
    Torch.start(threads);
    methods = Torch.module("kmeans/kmeans");
    manager = Torch.manager(Torch.device(device));
    this.centres = manager.create(centres.values(), new Shape(centres.k(), centres.dimension()));
    float[] halves = halfNorms(centres);
    half = manager.create(halves);
    values = centres.values();
    double largest = 0;
    for (float norm : halves) {
      largest = Math.max(largest, norm);
    }
    longest = Math.sqrt(2 * largest) * (1 + 1e-6);
    rounding = (centres.dimension() + 2) * 0x1p-24;
    line = new float[centres.k()];
  }

  private static float[] halfNorms(Centres centres) {
    float[] half = new float[centres.k()];
    int dimension = centres.dimension();
    for (int c = 0; c < half.length; c++) {
      double norm = 0;
      for (int j = c * dimension; j < (c + 1) * dimension; j++) {
        norm += (double) centres.values()[j] * centres.values()[j];
      }
      half[c] = (float) (norm / 2);
    }
    return half;
  }

  /**
   * The nearest centre of each row.
   *
   * @param squared squared distance to it
   */
  public record Nearest(int[] centres, float[] squared) {}

  public Nearest nearest(VectorBlock block) {
    try (NDManager scope = manager.newSubManager()) {
      NDList result = methods.callAll(scope, "nearest", upload(scope, block), centres, half);
      return new Nearest(result.get(0).toIntArray(), result.get(1).toFloatArray());
    }
  }

  /** The number of the nearest centre of each row; the first of those that are equally near. */
  public int[] assign(VectorBlock block) {
    int[] nearest = new int[block.rows()];
    int[] rows = new int[block.rows()];
    Arrays.setAll(rows, row -> row);
    Answer answer = (row, centre, upper, lower) -> nearest[row] = centre;
    assign(List.of(new Search(block, rows, block.squares(), answer)));
    return nearest;
  }

  /**
   * Rows of a block whose nearest centre is looked for.
   *
   * @param squares squared norm of each row of the block
   */
  record Search(VectorBlock block, int[] rows, double[] squares, Answer answer) {}

  /** Takes the nearest centre of a row, with bounds on distances. */
  interface Answer {
    /**
     * Called once for each row.
     *
     * @param upper at least the distance to the centre
     * @param lower at most the distance to any other
     */
    void set(int row, int centre, double upper, double lower);
  }

  /**
   * Looks for the nearest centres of some rows, with bounds that hold for exact arithmetic. Where
   * float32 cannot tell the nearest centre from others, float64 does: which centre it is depends
   * neither on the shape of a product nor on the device.
   *
   * @param searches their answers are given row by row
   */
  void assign(List<Search> searches) {
    int count = searches.stream().mapToInt(search -> search.rows().length).sum();
    if (count == 0) {
      return;
    }
    try (NDManager scope = manager.newSubManager()) {
      NDArray scores = scores(scope, searches, count);
      float[] best = best(scores, count);
      int[] places = strike(scores, best, count);
      // What is left are the scores of all others.
      float[] second = methods.call(scope, "best", scores).toFloatArray();
      int i = 0;
      for (Search search : searches) {
        for (int row : search.rows()) {
          double square = search.squares()[row];
          double error = error(square);
          if (best[i] - second[i] > 2 * error) {
            search
                .answer()
                .set(
                    row,
                    places[i],
                    Math.sqrt(Math.max(0, square - 2 * (best[i] - error))),
                    Math.sqrt(Math.max(0, square - 2 * (second[i] + error))));
          } else {
            float[] line = Torch.floats(Torch.narrow(scores, i, 1));
            int nearest = decide(search.block(), row, line, places[i], best[i] - 2 * error);
            search.answer().set(row, nearest, Double.POSITIVE_INFINITY, 0);
          }
          i++;
        }
      }
    }
  }

  /** The places of the best scores, which are struck out. */
  private int[] strike(NDArray scores, float[] best, int count) {
    NDManager scope = scores.getManager();
    if (scope.getDevice().isGpu()) {
      NDArray places = methods.call(scope, "place", scores);
      methods.run(scope, "strike", scores, places, Double.NEGATIVE_INFINITY);
      return places.toIntArray();
    }
    FloatBuffer memory = Torch.memory(scores).asFloatBuffer();
    int[] places = places(memory, best, count);
    for (int i = 0; i < count; i++) {
      memory.put(i * line.length + places[i], Float.NEGATIVE_INFINITY);
    }
    return places;
  }

  /**
   * A lower bound of the distance of each row to the nearest of some centres.
   *
   * @param squares squared norm of each row
   */
  double[] lower(VectorBlock block, int[] some, double[] squares) {
    try (NDManager scope = manager.newSubManager()) {
      NDArray which = scope.create(some);
      NDArray scores = methods.call(scope, "scores_of", upload(scope, block), centres, half, which);
      float[] best = best(scores, block.rows());
      double[] lower = new double[best.length];
      for (int row = 0; row < lower.length; row++) {
        double square = squares[row];
        lower[row] = Math.sqrt(Math.max(0, square - 2 * (best[row] + error(square))));
      }
      return lower;
    }
  }

  private float[] best(NDArray scores, int count) {
    float[] best = methods.call(scores.getManager(), "best", scores).toFloatArray();
    for (int i = 0; i < count; i++) {
      if (!Float.isFinite(best[i])) {
        throw new IllegalArgumentException(
            "Cannot find the nearest centre of an embedding because its distances are not finite in float32. Embeddings must be of a length below 1e18.");
      }
    }
    return best;
  }

  /**
   * Where each row's best score stands. On a processor, libtorch's maximum with its place takes
   * many times as long as the maximum alone and this search together.
   */
  private int[] places(FloatBuffer scores, float[] best, int count) {
    int[] places = new int[count];
    for (int row = 0; row < count; row++) {
      scores.get(row * line.length, line);
      float wanted = best[row];
      int place = 0;
      while (line[place] != wanted) {
        place++;
      }
      places[row] = place;
    }
    return places;
  }

  /**
   * Bound on the error of a score in float32, (d + 2) 2<sup>-24</sup> (||x|| C + C&sup2; / 2) with
   * the largest length C of a centre (Higham, Accuracy and Stability of Numerical Algorithms, 3.1):
   * it holds for any order of the sum.
   */
  private double error(double square) {
    return rounding * (Math.sqrt(square) * longest + longest * longest / 2);
  }

  /**
   * The nearest in float64 of the centres that score {@code bar} or more, and of {@code first}.
   * Among more than {@value #CANDIDATES}, as when most rows are equal, it stays with {@code first}.
   */
  private int decide(VectorBlock block, int row, float[] scores, int first, double bar) {
    int[] candidates =
        IntStream.range(0, scores.length).filter(c -> c == first || scores[c] >= bar).toArray();
    if (candidates.length > CANDIDATES) {
      return first;
    }
    int dimension = block.dimension();
    int nearest = first;
    double least = Double.POSITIVE_INFINITY;
    for (int c : candidates) {
      double squared = 0;
      for (int j = 0; j < dimension; j++) {
        double difference =
            (double) block.values()[row * dimension + j] - values[c * dimension + j];
        squared += difference * difference;
      }
      if (squared < least) {
        least = squared;
        nearest = c;
      }
    }
    return nearest;
  }

  /** Squared distance of each row to each centre: rows &times; k. */
  public float[] squared(VectorBlock block) {
    try (NDManager scope = manager.newSubManager()) {
      NDArray x = upload(scope, block);
      return methods.call(scope, "squared", x, centres, half).toFloatArray();
    }
  }

  /** Entropy of each row's full soft label at each temperature: temperatures &times; rows. */
  public float[][] entropies(VectorBlock block, double[] temperatures) {
    try (NDManager scope = manager.newSubManager()) {
      NDArray scores = scores(scope, block);
      float[][] entropies = new float[temperatures.length][];
      for (int i = 0; i < temperatures.length; i++) {
        try (NDArray rows = methods.call(scope, "entropy", scores, 2 / temperatures[i])) {
          entropies[i] = rows.toFloatArray();
        }
      }
      return entropies;
    }
  }

  /** Each row's probabilities, largest first: rows &times; k. */
  public float[] ranked(VectorBlock block, double temperature) {
    try (NDManager scope = manager.newSubManager()) {
      return methods.call(scope, "ranked", scores(scope, block), 2 / temperature).toFloatArray();
    }
  }

  /**
   * Soft labels of a block.
   *
   * @param concepts rows &times; topK, most probable first
   * @param weights rows &times; topK, of sum 1 in each row
   */
  public record Labels(int[] concepts, float[] weights) {}

  public Labels labels(VectorBlock block, double temperature, int topK) {
    try (NDManager scope = manager.newSubManager()) {
      NDList result = methods.callAll(scope, "labels", scores(scope, block), 2 / temperature, topK);
      return new Labels(result.get(0).toIntArray(), result.get(1).toFloatArray());
    }
  }

  /**
   * Scores of some rows, and of others after them that mean nothing: few shapes of products in all,
   * because each is prepared when it is first met.
   */
  private NDArray scores(NDManager scope, List<Search> searches, int count) {
    int dimension = searches.get(0).block().dimension();
    int padded = Math.min((count + STEP - 1) / STEP * STEP, Math.max(count, VectorBlock.ROWS));
    FloatBuffer gathered = reserve(padded * dimension).asFloatBuffer();
    for (Search search : searches) {
      float[] values = search.block().values();
      for (int row : search.rows()) {
        gathered.put(values, row * dimension, dimension);
      }
    }
    try (NDArray x = send(scope, padded, dimension)) {
      return methods.call(scope, "scores", x, centres, half);
    }
  }

  private NDArray scores(NDManager scope, VectorBlock block) {
    try (NDArray x = upload(scope, block)) {
      return methods.call(scope, "scores", x, centres, half);
    }
  }

  private NDArray upload(NDManager scope, VectorBlock block) {
    reserve(block.values().length).asFloatBuffer().put(block.values());
    return send(scope, block.rows(), block.dimension());
  }

  private ByteBuffer reserve(int floats) {
    int bytes = floats * Float.BYTES;
    if (buffer.capacity() < bytes) {
      buffer = ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
    }
    return buffer.clear().limit(bytes);
  }

  private NDArray send(NDManager scope, int rows, int dimension) {
    NDArray wrapped = Torch.wrap(scope, buffer, new Shape(rows, dimension), ElementType.FLOAT32);
    return scope.getDevice().isGpu() ? Torch.send(scope, wrapped) : wrapped;
  }

  @Override
  public void close() {
    manager.close();
  }
}
