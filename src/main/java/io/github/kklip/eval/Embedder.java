package io.github.kklip.eval;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.config.ElementType;
import io.github.kklip.image.Preprocess;
import io.github.kklip.image.PreprocessorConfig;
import io.github.kklip.image.RgbImage;
import io.github.kklip.model.ClipConfig;
import io.github.kklip.model.ClipModel;
import io.github.kklip.model.ClipWeights;
import io.github.kklip.model.Tokens;
import io.github.kklip.tensor.Torch;
import io.github.kklip.text.StudentTokenizer;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;

/** Embeds captions and images with a trained student: projected embeddings of unit length. */
public final class Embedder implements AutoCloseable {
  private final NDManager manager;
  private final ClipModel model;
  private final StudentTokenizer tokenizer;
  private final Preprocess preprocess;
  private final ByteBuffer pixels;
  private final int batch;

  /**
   * @param folder a local Hugging Face CLIP folder
   * @param tokenizer of this model; closed by its owner
   * @param batch rows of one forward pass
   * @param threads native threads
   */
  public Embedder(Path folder, StudentTokenizer tokenizer, int batch, int threads)
      throws IOException {
    Torch.start(threads);
    this.tokenizer = tokenizer;
    this.batch = batch;
    ClipConfig config = ClipConfig.read(folder.toString());
    preprocess = new Preprocess(PreprocessorConfig.read(folder, config.vision().image()));
    pixels =
        ByteBuffer.allocateDirect(Math.multiplyExact(batch, preprocess.length() * Float.BYTES))
            .order(ByteOrder.nativeOrder());
    manager = Torch.manager();
    model =
        new ClipModel(
            manager, config, ClipModel.Heads.NONE, ElementType.FLOAT32, ElementType.FLOAT32);
    try {
      ClipWeights.load(model, List.of(folder));
    } catch (IOException | RuntimeException e) {
      close();
      throw e;
    }
  }

  public int dimension() {
    return model.config().projection();
  }

  /** Embeddings of captions, captions &times; dimension. */
  public float[] captions(List<String> captions) {
    return captions(captions, done -> {});
  }

  /**
   * Embeddings of captions, captions &times; dimension.
   *
   * @param embedded takes the number of captions after each batch
   */
  float[] captions(List<String> captions, IntConsumer embedded) {
    ClipConfig.Text text = model.config().text();
    List<int[]> tokens =
        captions.stream().map(caption -> tokenizer.encode(caption, text.context())).toList();
    // Captions of about equal length share a batch: a batch is as long as its longest caption.
    List<Integer> order =
        IntStream.range(0, tokens.size())
            .boxed()
            .sorted(Comparator.comparingInt(i -> tokens.get(i).length))
            .toList();
    float[] all = new float[captions.size() * dimension()];
    for (int first = 0; first < order.size(); first += batch) {
      List<Integer> rows = order.subList(first, Math.min(order.size(), first + batch));
      try (NDManager scope = manager.newSubManager()) {
        Tokens part = Tokens.of(scope, text, rows.stream().map(tokens::get).toList());
        place(model.textFeatures(scope, part), all, rows);
      }
      embedded.accept(rows.size());
    }
    return all;
  }

  /** Embeddings of images, images &times; dimension. */
  public float[] images(List<RgbImage> images) {
    float[] all = new float[images.size() * dimension()];
    for (int first = 0; first < images.size(); first += batch) {
      int end = Math.min(images.size(), first + batch);
      for (int i = first; i < end; i++) {
        preprocess.apply(images.get(i), pixels.asFloatBuffer(), (i - first) * preprocess.length());
      }
      int side = model.config().vision().image();
      ByteBuffer used = pixels.duplicate().limit((end - first) * preprocess.length() * Float.BYTES);
      try (NDManager scope = manager.newSubManager()) {
        NDArray input =
            Torch.wrap(scope, used, new Shape(end - first, 3, side, side), ElementType.FLOAT32);
        List<Integer> rows = IntStream.range(first, end).boxed().toList();
        place(model.imageFeatures(scope, input), all, rows);
      }
    }
    return all;
  }

  private void place(NDArray features, float[] all, List<Integer> rows) {
    float[] values = Torch.floats(features);
    for (int i = 0; i < rows.size(); i++) {
      normalise(values, i * dimension(), dimension());
      System.arraycopy(values, i * dimension(), all, rows.get(i) * dimension(), dimension());
    }
  }

  /** Scales a part of {@code values} to unit length. */
  static void normalise(float[] values, int from, int length) {
    double square = 0;
    for (int j = from; j < from + length; j++) {
      square += (double) values[j] * values[j];
    }
    double scale = square > 0 ? 1 / Math.sqrt(square) : 0;
    for (int j = from; j < from + length; j++) {
      values[j] = (float) (values[j] * scale);
    }
  }

  @Override
  public void close() {
    model.close();
    manager.close();
  }
}
