package io.github.kklip.train.step;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.config.ElementType;
import io.github.kklip.model.ClipConfig;
import io.github.kklip.model.ClipModel;
import io.github.kklip.model.Tokens;
import io.github.kklip.store.Label;
import io.github.kklip.tensor.Torch;
import io.github.kklip.train.data.Batch;
import java.util.Arrays;

/**
 * This rank's rows of a batch as tensors on the device of the step. Real numbers come in the type
 * of the model, whole ones as int64. Pixels are sent at once; the rest is packed when it is asked
 * for.
 */
final class DeviceBatch {
  private final Batch batch;
  private final ClipConfig config;
  private final ElementType type;
  private final NDArray pixels;

  /**
   * Sends the pixels.
   *
   * @param scope owns them
   */
  DeviceBatch(NDManager scope, ClipModel model, Batch batch) {
    this.batch = batch;
    config = model.config();
    type = model.parameters().type();
    int side = config.vision().image();
    Shape shape = new Shape(batch.rows(), 3, side, side);
    pixels = send(scope, Torch.wrap(scope, batch.pixels(), shape, ElementType.FLOAT32));
  }

  /** Normalised pixels [to - from, 3, S, S] of some rows. */
  NDArray pixels(int from, int to) {
    return to - from == batch.rows() ? pixels : Torch.narrow(pixels, from, to - from);
  }

  /** The captions of some rows. */
  Tokens tokens(NDManager manager, int from, int to) {
    return Tokens.of(manager, config.text(), Arrays.asList(batch.tokens()).subList(from, to));
  }

  /** The teacher's embeddings t [b, dimension]; null when the batch has none. */
  NDArray teacher(NDManager manager) {
    if (batch.teacher() == null) {
      return null;
    }
    int dimension = batch.teacher()[0].length;
    float[] flat = new float[batch.rows() * dimension];
    for (int row = 0; row < batch.rows(); row++) {
      System.arraycopy(batch.teacher()[row], 0, flat, row * dimension, dimension);
    }
    return send(manager, manager.create(flat, new Shape(batch.rows(), dimension)));
  }

  /**
   * Concept indices [b, k] of the soft labels, k the longest label's; shorter ones are filled up
   * with concept 0 of weight 0. Null when the batch has none.
   */
  NDArray concepts(NDManager manager) {
    if (batch.labels() == null) {
      return null;
    }
    int kept = longestLabel();
    long[] flat = new long[batch.rows() * kept];
    for (int row = 0; row < batch.rows(); row++) {
      int[] concepts = batch.labels()[row].concepts();
      for (int i = 0; i < concepts.length; i++) {
        flat[row * kept + i] = concepts[i];
      }
    }
    return send(manager, manager.create(flat, new Shape(batch.rows(), kept)));
  }

  /** The weights [b, k] of {@link #concepts}, of sum 1 in each row; null when there are none. */
  NDArray conceptWeights(NDManager manager) {
    if (batch.labels() == null) {
      return null;
    }
    int kept = longestLabel();
    float[] flat = new float[batch.rows() * kept];
    for (int row = 0; row < batch.rows(); row++) {
      float[] weights = batch.labels()[row].weights();
      System.arraycopy(weights, 0, flat, row * kept, weights.length);
    }
    return send(manager, manager.create(flat, new Shape(batch.rows(), kept)));
  }

  private int longestLabel() {
    return Arrays.stream(batch.labels()).mapToInt(DeviceBatch::length).max().orElseThrow();
  }

  private static int length(Label label) {
    return label.concepts().length;
  }

  private NDArray send(NDManager manager, NDArray array) {
    NDArray there = Torch.send(manager, array);
    return array.getDataType() == DataType.FLOAT32 && type != ElementType.FLOAT32
        ? Torch.cast(there, type)
        : there;
  }
}
