package io.github.kklip.bench;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.config.ElementType;
import io.github.kklip.image.ImageDecoder;
import io.github.kklip.image.Preprocess;
import io.github.kklip.image.Preprocessing;
import io.github.kklip.image.RgbImage;
import io.github.kklip.loss.Losses;
import io.github.kklip.model.ClipConfig;
import io.github.kklip.model.ClipModel;
import io.github.kklip.tensor.Torch;
import io.github.kklip.text.StudentTokenizer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** The pieces that run once for each image, caption or step, on one thread. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
public class SmallPieces {
  private static final int BATCH = 64;
  private static final int TEACHER = 1024;
  private static final int CONCEPTS = 256;

  private byte[] file;
  private RgbImage image;
  private Preprocess preprocess;
  private FloatBuffer pixels;
  private StudentTokenizer tokenizer;
  private NDManager manager;
  private ClipModel model;
  private Losses losses;
  private Losses.Inputs batch;

  /** Makes the inputs. */
  @Setup
  public void open() throws Exception {
    Torch.start(1);
    Path folder = Files.createTempDirectory("kklip-bench");
    try {
      Photographs.write(folder);
      file = Files.readAllBytes(folder.resolve("01.jpg"));
    } finally {
      LlamaFolder.delete(folder);
    }
    image = ImageDecoder.decode(file);
    preprocess = new Preprocess(Preprocessing.clip(224));
    pixels =
        ByteBuffer.allocateDirect(4 * preprocess.length())
            .order(ByteOrder.nativeOrder())
            .asFloatBuffer();
    tokenizer = StudentTokenizer.load(Path.of("src/test/resources/golden/text/clip"));
    manager = Torch.manager();
    model =
        new ClipModel(
            manager,
            ClipConfig.read("tiny"),
            new ClipModel.Heads(TEACHER, CONCEPTS, true),
            ElementType.FLOAT32,
            ElementType.FLOAT32);
    model.initialise(1);
    model.parameters().bindGradients();
    losses = new Losses(model, new Losses.Weights(1, 0.01, 1));
    long[] images = new long[BATCH];
    Arrays.setAll(images, i -> i);
    int projection = model.config().projection();
    batch =
        new Losses.Inputs(
            normal(projection),
            normal(projection),
            manager.create(images),
            0,
            BATCH,
            normal(TEACHER),
            manager.create(images).reshape(BATCH, 1),
            manager.ones(new Shape(BATCH, 1)));
  }

  private NDArray normal(int columns) {
    NDArray array = Torch.zeros(manager, new Shape(BATCH, columns), ElementType.FLOAT32);
    Torch.normal(array, 0, 1, columns);
    return array;
  }

  /** A JPEG of 500 x 375. */
  @Benchmark
  public RgbImage decode() throws Exception {
    return ImageDecoder.decode(file);
  }

  /** 500 x 375 to 224: resize, crop, normalise. */
  @Benchmark
  public FloatBuffer resize() {
    preprocess.apply(image, pixels, 0);
    return pixels;
  }

  /** A caption of twelve words. */
  @Benchmark
  public int[] tokenise() {
    return tokenizer.encode("two dogs of different colours play in the snow beside a fence", 77);
  }

  /** All three losses of 64 pairs, and the gradients of their features and heads. */
  @Benchmark
  public Map<String, Double> loss() {
    try (NDManager step = manager.newSubManager()) {
      return losses.compute(step, batch).terms();
    }
  }

  /** Frees native memory. */
  @TearDown
  public void close() {
    tokenizer.close();
    manager.close();
  }
}
