package io.github.kklip.concept;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.tensor.ElementType;
import io.github.kklip.tensor.Torch;
import io.github.kklip.tensor.TorchModule;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;

/**
 * Blocks of rows against one set of centres, by one matrix product a block in libtorch. One object
 * serves one thread: it holds the centres and the copy of one block in native memory.
 */
final class Distances implements AutoCloseable {
  private final NDManager manager;
  private final TorchModule methods;
  private final NDArray centres;
  private final NDArray half;

  /** One row's scores. */
  private final float[] line;

  private ByteBuffer rows = ByteBuffer.allocateDirect(0);

  /** On the CPU. */
  Distances(Centres centres, int threads) {
    this(centres, threads, "cpu");
  }

  /**
   * @param threads native threads of one product
   * @param device {@code cpu} or {@code cuda:N}
   */
  Distances(Centres centres, int threads, String device) {
    Torch.start(threads);
    methods = Torch.module("concept/kmeans");
    manager = Torch.manager(Torch.device(device));
    this.centres = manager.create(centres.values(), new Shape(centres.k(), centres.dimension()));
    half = manager.create(halfNorms(centres));
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
  record Nearest(int[] centres, float[] squared) {}

  Nearest nearest(Block block) {
    try (NDManager scope = manager.newSubManager()) {
      NDList result = methods.callAll(scope, "nearest", upload(scope, block), centres, half);
      return new Nearest(result.get(0).toIntArray(), result.get(1).toFloatArray());
    }
  }

  /** The number of the nearest centre of each row; the first of those that are equally near. */
  int[] assign(Block block) {
    try (NDManager scope = manager.newSubManager()) {
      NDArray scores = scores(scope, block);
      float[] best = methods.call(scope, "best", scores).toFloatArray();
      for (float score : best) {
        if (!Float.isFinite(score)) {
          throw new IllegalArgumentException(
              "Cannot find the nearest centre of an embedding because its distances are not finite"
                  + " in float32. Embeddings must be of a length below 1e18.");
        }
      }
      return scope.getDevice().isGpu()
          ? methods.call(scope, "place", scores).toIntArray()
          : places(Torch.memory(scores).asFloatBuffer(), best);
    }
  }

  /**
   * Where each row's best score stands. On a processor, libtorch's maximum with its place takes
   * many times as long as the maximum alone and this search together.
   */
  private int[] places(FloatBuffer scores, float[] best) {
    int[] places = new int[best.length];
    for (int row = 0; row < best.length; row++) {
      scores.get(line);
      float wanted = best[row];
      int place = 0;
      while (line[place] != wanted) {
        place++;
      }
      places[row] = place;
    }
    return places;
  }

  /** Squared distance of each row to each centre: rows &times; k. */
  float[] squared(Block block) {
    try (NDManager scope = manager.newSubManager()) {
      NDArray x = upload(scope, block);
      return methods.call(scope, "squared", x, centres, half).toFloatArray();
    }
  }

  /** Entropy of each row's full soft label at each temperature: temperatures &times; rows. */
  float[][] entropies(Block block, double[] temperatures) {
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
  float[] ranked(Block block, double temperature) {
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
  record Labels(int[] concepts, float[] weights) {}

  Labels labels(Block block, double temperature, int topK) {
    try (NDManager scope = manager.newSubManager()) {
      NDList result = methods.callAll(scope, "labels", scores(scope, block), 2 / temperature, topK);
      return new Labels(result.get(0).toIntArray(), result.get(1).toFloatArray());
    }
  }

  private NDArray scores(NDManager scope, Block block) {
    try (NDArray x = upload(scope, block)) {
      return methods.call(scope, "scores", x, centres, half);
    }
  }

  private NDArray upload(NDManager scope, Block block) {
    int bytes = block.values().length * Float.BYTES;
    if (rows.capacity() < bytes) {
      rows = ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
    }
    rows.clear().limit(bytes);
    rows.asFloatBuffer().put(block.values());
    NDArray wrapped =
        Torch.wrap(scope, rows, new Shape(block.rows(), block.dimension()), ElementType.FLOAT32);
    return scope.getDevice().isGpu() ? Torch.send(scope, wrapped) : wrapped;
  }

  @Override
  public void close() {
    manager.close();
  }
}
