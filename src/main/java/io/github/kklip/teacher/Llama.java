package io.github.kklip.teacher;

import static io.github.kklip.config.Message.message;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.config.ElementType;
import io.github.kklip.config.TeacherSettings;
import io.github.kklip.safetensors.Safetensors;
import io.github.kklip.tensor.Torch;
import io.github.kklip.tensor.TorchModule;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A Llama (arXiv 2307.09288) that gives hidden states and pooled embeddings of token sequences. One
 * layer, with x the states [batch, time, hidden]:
 *
 * <pre>
 * h = norm(x)            norm(x) = weight * x / sqrt(mean(x^2) + eps), in float32
 * x = x + Wo attention(rotate(Wq h), rotate(Wk h), Wv h)      causal, grouped heads
 * x = x + Wdown (silu(Wgate norm(x)) * Wup norm(x))
 * </pre>
 *
 * <p>Sequences of a batch are padded at their ends. Attention is causal, so no state of a sequence
 * sees the padding, and an embedding does not depend on what else is in its batch.
 *
 * <p>The weights are read-only and may be used by many threads at once; every thread calls {@link
 * Torch#start} first. On the CPU, weights whose file has the type of the computation are used where
 * the file is mapped, without a copy.
 */
public final class Llama implements AutoCloseable {
  private static final String PREFIX = "model.";
  private static final String EMBEDDINGS = "embed_tokens.weight";
  private static final String HEAD = "lm_head.weight";
  private static final List<String> LAYER_WEIGHTS =
      List.of(
          "input_layernorm",
          "self_attn.q_proj",
          "self_attn.k_proj",
          "self_attn.v_proj",
          "self_attn.o_proj",
          "post_attention_layernorm",
          "mlp.gate_proj",
          "mlp.up_proj",
          "mlp.down_proj");

  /** Weights in the order of {@link #LAYER_WEIGHTS}; biases of the projections or none. */
  private record Layer(List<NDArray> weights, List<NDArray> biases) {}

  private final LlamaConfig config;
  private final ElementType type;
  private final ElementType products;
  private final NDManager manager;
  private final TorchModule methods = Torch.module("teacher/llama");
  private final NDArray embeddings;
  private final List<Layer> layers = new ArrayList<>();
  private final NDArray lastNorm;
  private final NDArray cosines;
  private final NDArray sines;

  /**
   * Opens a Hugging Face folder.
   *
   * @param type of the weights, and of the products where the device multiplies it ({@link
   *     Torch#products}); weights are converted one matrix at a time where it does not
   * @param layer the states to give, counted as in transformers' {@code output_hidden_states}: 0
   *     the token embeddings, n the output of layer n, the last one and -1 after the last norm;
   *     layers above are not loaded
   * @param positions tokens of the longest sequence
   * @throws IOException when a file is missing, invalid, or is not a Llama's
   */
  public static Llama open(Path folder, ElementType type, Device device, int layer, int positions)
      throws IOException {
    return open(folder, type, Torch.products(type, device), device, layer, positions);
  }

  static Llama open(
      Path folder, ElementType type, ElementType products, Device device, int layer, int positions)
      throws IOException {
    LlamaConfig config = LlamaConfig.read(folder);
    int count = layers(config, layer);
    requirePositions(config, positions, folder);
    NDManager manager = Torch.manager(device);
    try {
      return new Llama(config, count, type, products, positions, Safetensors.open(folder), manager);
    } catch (IOException | RuntimeException e) {
      manager.close();
      throw e;
    }
  }

  static void requirePositions(LlamaConfig config, int positions, Path folder) throws IOException {
    if (positions > config.maxPositions()) {
      throw new IOException(
          message(
              "Cannot use captions of %s tokens because %s was made for %s positions. Set kklip.teacher.max-length to at most that.",
              positions, folder, config.maxPositions()));
    }
  }

  /** Layers to compute for hidden state {@code layer}. */
  static int layers(LlamaConfig config, int layer) throws IOException {
    if (layer > config.layers()) {
      throw new IOException(
          message(
              "Cannot give hidden state %s because the teacher has %s layers. Set kklip.teacher.layer to at most that, or to -1 for the last.",
              layer, config.layers()));
    }
    return layer < 0 ? config.layers() : layer;
  }

  private Llama(
      LlamaConfig config,
      int count,
      ElementType type,
      ElementType products,
      int positions,
      Safetensors file,
      NDManager manager)
      throws IOException {
    this.config = config;
    this.type = type;
    this.products = products;
    this.manager = manager;
    String prefix = file.names().stream().anyMatch(name -> name.startsWith(PREFIX)) ? PREFIX : "";
    String table = embeddingsName(config, file, prefix + EMBEDDINGS);
    Map<String, Shape> shapes = new LinkedHashMap<>();
    tensors(config, count)
        .forEach(
            (name, shape) -> shapes.put(name.equals(EMBEDDINGS) ? table : prefix + name, shape));
    Map<String, NDArray> mapped = file.arrays(manager, shapes);
    // Rows are cast after they were looked up: the table itself is never copied on the CPU.
    embeddings = onDevice(mapped.get(table));
    for (int i = 0; i < count; i++) {
      String start = prefix + "layers." + i + ".";
      List<NDArray> weights = new ArrayList<>();
      for (String name : LAYER_WEIGHTS) {
        weights.add(prepared(file, mapped, start + name + ".weight"));
      }
      layers.add(new Layer(weights, biases(file, mapped, shapes, start)));
    }
    lastNorm = count == config.layers() ? prepared(file, mapped, prefix + "norm.weight") : null;
    int width = config.headDim();
    float[] frequencies = config.rope().frequencies(width);
    float[] cosine = new float[positions * width];
    float[] sine = new float[positions * width];
    for (int p = 0; p < positions; p++) {
      for (int i = 0; i < width; i++) {
        float angle = p * frequencies[i % frequencies.length];
        cosine[p * width + i] = (float) Math.cos(angle);
        sine[p * width + i] = (float) Math.sin(angle);
      }
    }
    cosines = table(cosine, positions, width);
    sines = table(sine, positions, width);
  }

  /** The tensor that holds the token embeddings: of a tied model, the file may name it as head. */
  private static String embeddingsName(LlamaConfig config, Safetensors file, String embeddings) {
    boolean onlyHead = file.names().contains(HEAD) && !file.names().contains(embeddings);
    return config.tied() && onlyHead ? HEAD : embeddings;
  }

  private NDArray table(float[] values, int positions, int width) {
    // A copy in native memory: an array made from Java lives in a buffer that the collector frees
    // with the array's object, and a cast to the same type would share it.
    try (NDManager scope = manager.newSubManager()) {
      NDArray exact = scope.create(values, new Shape(positions, width));
      return Torch.clone(manager, Torch.cast(exact, products));
    }
  }

  private NDArray prepared(Safetensors file, Map<String, NDArray> mapped, String name)
      throws IOException {
    NDArray array = mapped.get(name);
    if (file.entry(name).type() != type) {
      try (NDArray original = array) {
        array = Torch.cast(original, type);
      }
    }
    return onDevice(array);
  }

  private NDArray onDevice(NDArray array) {
    if (array.getDevice().equals(manager.getDevice())) {
      return array;
    }
    try (NDArray original = array) {
      return Torch.toDevice(manager, original);
    }
  }

  /** The biases of the seven projections, zeros where the model has none; empty if it has none. */
  private List<NDArray> biases(
      Safetensors file, Map<String, NDArray> mapped, Map<String, Shape> shapes, String start)
      throws IOException {
    List<NDArray> biases = new ArrayList<>();
    if (config.attentionBias() || config.mlpBias()) {
      for (String name : LAYER_WEIGHTS) {
        if (name.endsWith("_proj")) {
          long outputs = shapes.get(start + name + ".weight").get(0);
          biases.add(
              mapped.containsKey(start + name + ".bias")
                  ? prepared(file, mapped, start + name + ".bias")
                  : Torch.zeros(manager, new Shape(outputs), type));
        }
      }
    }
    return biases;
  }

  /** Names and shapes of the tensors that the first {@code count} layers need. */
  static Map<String, Shape> tensors(LlamaConfig config, int count) {
    long hidden = config.hidden();
    long queries = (long) config.heads() * config.headDim();
    long keys = (long) config.keyValueHeads() * config.headDim();
    long inner = config.intermediate();
    Map<String, Shape> shapes = new LinkedHashMap<>();
    shapes.put(EMBEDDINGS, new Shape(config.vocabSize(), hidden));
    for (int i = 0; i < count; i++) {
      String start = "layers." + i + ".";
      for (String name : LAYER_WEIGHTS) {
        Shape shape =
            switch (name) {
              case "self_attn.q_proj" -> new Shape(queries, hidden);
              case "self_attn.k_proj", "self_attn.v_proj" -> new Shape(keys, hidden);
              case "self_attn.o_proj" -> new Shape(hidden, queries);
              case "mlp.gate_proj", "mlp.up_proj" -> new Shape(inner, hidden);
              case "mlp.down_proj" -> new Shape(hidden, inner);
              default -> new Shape(hidden);
            };
        shapes.put(start + name + ".weight", shape);
        boolean bias = name.startsWith("mlp.") ? config.mlpBias() : config.attentionBias();
        if (bias && name.endsWith("_proj")) {
          shapes.put(start + name + ".bias", new Shape(shape.get(0)));
        }
      }
    }
    if (count == config.layers()) {
      shapes.put("norm.weight", new Shape(hidden));
    }
    return shapes;
  }

  public LlamaConfig config() {
    return config;
  }

  /** A manager on the device of the weights for the arrays of one batch. */
  public NDManager newScope() {
    return manager.newSubManager();
  }

  /**
   * The hidden states of a batch.
   *
   * @param sequences tokens, of at least one and at most {@code positions} each
   * @return [batch, longest, hidden] in the type of the products; what stands behind the end of a
   *     shorter sequence has no meaning
   */
  NDArray states(NDManager scope, List<int[]> sequences) {
    int longest = sequences.stream().mapToInt(s -> s.length).max().orElseThrow();
    long[] ids = new long[sequences.size() * longest];
    for (int row = 0; row < sequences.size(); row++) {
      int[] sequence = sequences.get(row);
      for (int t = 0; t < longest; t++) {
        // Padded with a real token, so that padding states are ordinary numbers.
        int id = sequence[Math.min(t, sequence.length - 1)];
        if (id < 0 || id >= config.vocabSize()) {
          throw new IllegalArgumentException(
              message(
                  "Cannot embed a token because the teacher's vocabulary has %s entries: %s. The tokenizer belongs to another model.",
                  config.vocabSize(), id));
        }
        ids[row * longest + t] = id;
      }
    }
    try (NDManager local = scope.newSubManager()) {
      NDArray tokens = local.create(ids, new Shape(sequences.size(), longest));
      NDArray cosine = Torch.narrow(cosines, 0, longest);
      cosine.attach(local);
      NDArray sine = Torch.narrow(sines, 0, longest);
      sine.attach(local);
      NDArray x = methods.call(local, "embed", tokens, embeddings, products.scalarType());
      for (Layer layer : layers) {
        NDArray before = x;
        x =
            methods.call(
                local,
                "layer",
                before,
                cosine,
                sine,
                layer.weights,
                layer.biases,
                config.heads(),
                config.keyValueHeads(),
                config.rmsNormEps(),
                products.scalarType());
        before.close();
      }
      if (lastNorm != null) {
        NDArray before = x;
        x = methods.call(local, "norm", before, lastNorm, config.rmsNormEps());
        before.close();
      }
      x.attach(scope);
      return x;
    }
  }

  /**
   * One embedding for each sequence: its states averaged in float32.
   *
   * @param sequences tokens with the start token first
   * @return float32 [batch, hidden]
   */
  public NDArray embed(
      NDManager scope, List<int[]> sequences, TeacherSettings.TokenPooling pooling) {
    int longest = sequences.stream().mapToInt(s -> s.length).max().orElseThrow();
    float[] shares = new float[sequences.size() * longest];
    for (int row = 0; row < sequences.size(); row++) {
      int length = sequences.get(row).length;
      int from =
          switch (pooling) {
            case MEAN_BOS -> 0;
            // A caption of the start token alone has nothing else to average.
            case MEAN -> Math.min(1, length - 1);
            case LAST -> length - 1;
          };
      for (int t = from; t < length; t++) {
        shares[row * longest + t] = 1f / (length - from);
      }
    }
    try (NDArray states = states(scope, sequences);
        NDArray weights = scope.create(shares, new Shape(sequences.size(), longest))) {
      return methods.call(scope, "pool", states, weights);
    }
  }

  /** Frees the weights. */
  @Override
  public void close() {
    manager.close();
  }
}
