package io.github.kklip.teacher;

import static io.github.kklip.config.Message.message;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.kklip.config.Dtype;
import io.github.kklip.config.ElementType;
import io.github.kklip.config.Role;
import io.github.kklip.config.Roles;
import io.github.kklip.config.SettingsException;
import io.github.kklip.config.TeacherSettings;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.Pair;
import io.github.kklip.store.ProcessingSettings;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Vector;
import io.github.kklip.store.VectorStorage;
import io.github.kklip.store.shards.PairFormat;
import io.github.kklip.store.shards.ShardReader;
import io.github.kklip.store.shards.ShardWriter;
import io.github.kklip.store.shards.VectorFormat;
import io.github.kklip.tensor.HostMemory;
import io.github.kklip.tensor.Torch;
import io.github.kklip.text.TeacherTokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongConsumer;

/**
 * Embeds captions with a Llama: a list of them, or all of one shard. Identical captions are
 * computed once; captions of about the same length share a batch, which holds at most {@code
 * teacher.batch-tokens} tokens with its padding. Several threads may use one embedder, each after
 * {@link io.github.kklip.tensor.Torch#start}.
 */
public final class CaptionEmbedder implements AutoCloseable {
  /** On two cores faster than 4096 for a teacher of 134 million parameters: docs/benchmarks.md. */
  private static final int CPU_BATCH_TOKENS = 1024;

  private static final int GPU_BATCH_TOKENS = 8192;

  /** Vectors that wait for their row group to be written. */
  private static final long WINDOW_BYTES = 256L << 20;

  private final TeacherSettings settings;
  private final TeacherTokenizer tokenizer;
  private final Llama llama;
  private final int batchTokens;

  private CaptionEmbedder(
      TeacherSettings settings, Device device, TeacherTokenizer tokenizer, Llama llama) {
    this.settings = settings;
    batchTokens = batchTokens(settings, device);
    this.tokenizer = tokenizer;
    this.llama = llama;
  }

  /**
   * Checks the small files of a teacher without its weights.
   *
   * @return its shape
   * @throws IOException when the folder cannot be used as a teacher with these settings
   */
  public static LlamaConfig check(Path folder, TeacherSettings settings) throws IOException {
    LlamaConfig config = LlamaConfig.read(folder);
    Llama.layers(config, settings.layer());
    Llama.requirePositions(config, settings.input().maxLength(), folder);
    TeacherTokenizer.load(folder, config.vocabSize()).close();
    return config;
  }

  /**
   * Opens a teacher.
   *
   * @param folder a local Hugging Face folder
   * @throws IOException when a file is missing or invalid
   * @throws SettingsException when it does not fit into memory, or the type is not for this device
   */
  public static CaptionEmbedder open(Path folder, TeacherSettings settings, Device device)
      throws IOException {
    ElementType type = requireUsable(folder, settings, device);
    Llama llama = Llama.open(folder, type, device, settings.layer(), settings.input().maxLength());
    try {
      return new CaptionEmbedder(
          settings, device, TeacherTokenizer.load(folder, llama.config().vocabSize()), llama);
    } catch (RuntimeException e) {
      llama.close();
      throw e;
    }
  }

  /**
   * Refuses a teacher by its small files, before its weights are read.
   *
   * @return the type of its weights
   * @throws IOException when the folder cannot be used as a teacher with these settings
   * @throws SettingsException when it does not fit into memory, or the type is not for this device
   */
  static ElementType requireUsable(Path folder, TeacherSettings settings, Device device)
      throws IOException {
    return requireUsable(
        folder,
        settings,
        device,
        device.isGpu() ? Torch.freeMemory(device) : HostMemory.available());
  }

  /**
   * As {@link #requireUsable(Path, TeacherSettings, Device)}, for a device with so much memory.
   *
   * @param available bytes
   */
  public static ElementType requireUsable(
      Path folder, TeacherSettings settings, Device device, long available) throws IOException {
    ElementType type =
        switch (settings.dtype()) {
          case FLOAT32 -> ElementType.FLOAT32;
          case BFLOAT16 -> ElementType.BFLOAT16;
          case FLOAT16 -> ElementType.FLOAT16;
        };
    if (type == ElementType.FLOAT16 && !device.isGpu()) {
      throw new SettingsException(
          "Cannot use kklip.teacher.dtype = float16 because the teacher runs on the CPU. Use bfloat16 or float32.");
    }
    LlamaConfig config = check(folder, settings);
    requireMemory(config, settings, type, device, folder, available);
    return type;
  }

  private static int batchTokens(TeacherSettings settings, Device device) {
    if (settings.input().batchTokens() > 0) {
      return settings.input().batchTokens();
    }
    return device.isGpu() ? GPU_BATCH_TOKENS : CPU_BATCH_TOKENS;
  }

  static void requireMemory(
      LlamaConfig config,
      TeacherSettings settings,
      ElementType type,
      Device device,
      Path folder,
      long available)
      throws IOException {
    long weights = config.parameters(Llama.layers(config, settings.layer())) * type.bytes();
    ElementType products = Torch.products(type, device);
    long batch = batchTokens(settings, device);
    // The widest moment of a layer: the residual, its norm, gate, up and their product, and a
    // matrix that is converted.
    long states =
        (batch * (4L * config.hidden() + 3L * config.intermediate())
                + (products == type ? 0 : (long) config.hidden() * config.intermediate()))
            * products.bytes();
    if (weights + states > available) {
      throw new SettingsException(
          message(
              "Cannot load the teacher %s because it needs %.1f GiB (%.1f for weights in %s, %.1f for a batch of kklip.teacher.batch-tokens = %d) and %.1f GiB of memory%s are available. Use bfloat16, a smaller teacher, or %s.",
              folder,
              gibibytes(weights + states),
              gibibytes(weights),
              settings.dtype().name().toLowerCase(java.util.Locale.ROOT),
              gibibytes(states),
              batch,
              gibibytes(available),
              device.isGpu() ? " on " + device : "",
              device.isGpu()
                  ? "GPUs with more memory"
                  : "executors with more memory outside the heap"));
    }
  }

  private static double gibibytes(long bytes) {
    return bytes / (double) (1L << 30);
  }

  /** The identity of the teacher that embeddings were made with. */
  public static String identity(ProcessingSettings made) {
    return made.values().getOrDefault(Roles.name(Role.Output.TEACHER, "teacher.path"), "");
  }

  /** How the settings want embeddings to be stored. */
  public static VectorStorage storage(TeacherSettings settings) {
    return switch (settings.storage()) {
      case FLOAT32 -> VectorStorage.FLOAT32;
      case FLOAT16 -> VectorStorage.FLOAT16;
      case BFLOAT16 -> throw new IllegalArgumentException("Settings refuse bfloat16 storage.");
    };
  }

  /** Numbers of one embedding. */
  public int dimension() {
    return llama.config().hidden();
  }

  /** The embeddings of captions, in their order; equal captions share one array. */
  public List<float[]> embed(List<String> captions) {
    return embed(captions, done -> {});
  }

  private List<float[]> embed(List<String> captions, LongConsumer embedded) {
    Map<String, float[]> byCaption = new LinkedHashMap<>();
    List<String> distinct = captions.stream().distinct().toList();
    List<int[]> tokens = new ArrayList<>(distinct.size());
    for (String caption : distinct) {
      tokens.add(encode(caption));
    }
    Integer[] order = new Integer[distinct.size()];
    Arrays.setAll(order, i -> i);
    // Longest first, so that the largest batch comes first and memory does not grow later.
    Arrays.sort(order, Comparator.comparing(i -> -tokens.get(i).length));
    int from = 0;
    while (from < order.length) {
      int longest = tokens.get(order[from]).length;
      int to = Math.min(order.length, from + Math.max(1, batchTokens / longest));
      List<int[]> batch = new ArrayList<>(to - from);
      for (int i = from; i < to; i++) {
        batch.add(tokens.get(order[i]));
      }
      try (NDManager scope = llama.newScope();
          NDArray output = llama.embed(scope, batch, settings.pooling())) {
        float[] values = output.toFloatArray();
        for (int i = from; i < to; i++) {
          int start = (i - from) * dimension();
          byCaption.put(
              distinct.get(order[i]), Arrays.copyOfRange(values, start, start + dimension()));
        }
      }
      embedded.accept(to - from);
      from = to;
    }
    // Equal captions are done with the first of them.
    embedded.accept(captions.size() - distinct.size());
    return captions.stream().map(byCaption::get).toList();
  }

  private int[] encode(String caption) {
    if (settings.input().longCaptions() == TeacherSettings.LongCaptions.CUT) {
      return tokenizer.encode(caption, settings.input().maxLength());
    }
    int[] tokens = tokenizer.encode(caption, Integer.MAX_VALUE);
    if (tokens.length > settings.input().maxLength()) {
      throw new IllegalArgumentException(
          message(
              "%s kklip.teacher.long-captions is refuse: \"%s\". Set kklip.teacher.long-captions = cut, raise kklip.teacher.max-length (the%s",
              "Cannot embed a caption because it has %d tokens, kklip.teacher.max-length is %d and"
                  .formatted(tokens.length, settings.input().maxLength()),
              caption.substring(0, Math.min(80, caption.length())),
              " teacher has %d positions), or remove the caption."
                  .formatted(llama.config().maxPositions())));
    }
    return tokens;
  }

  /**
   * Embeds the captions of a shard and publishes its shard of vectors.
   *
   * @param name of the embeddings within the dataset
   * @param embedded takes the number of captions after each batch
   * @return the file of the embeddings
   * @throws IOException when the pairs cannot be read or the vectors cannot be written
   */
  public org.apache.hadoop.fs.Path embed(
      DatasetFolder dataset,
      String name,
      Shard shard,
      ProcessingSettings processing,
      LongConsumer embedded)
      throws IOException {
    try (ShardReader<Pair> pairs =
        ShardReader.open(dataset.configuration(), dataset.pairs(shard), PairFormat.CAPTIONS)) {
      try (ShardWriter<Vector> vectors =
          new ShardWriter<>(
              dataset.configuration(),
              new org.apache.hadoop.fs.Path(
                  dataset.teacher(name, processing), shard.stem() + ".parquet"),
              new VectorFormat(storage(settings), dimension()),
              shard,
              processing.digest())) {
        List<Pair> window = new ArrayList<>();
        for (int group = 0; group < pairs.rowGroups(); group++) {
          window.addAll(pairs.readGroup(group));
          boolean full = (long) window.size() * dimension() * Float.BYTES >= WINDOW_BYTES;
          if (full || group == pairs.rowGroups() - 1) {
            write(window, vectors, embedded);
            window.clear();
          }
        }
        return vectors.commit().file();
      }
    }
  }

  private void write(List<Pair> window, ShardWriter<Vector> vectors, LongConsumer embedded)
      throws IOException {
    List<float[]> rows = embed(window.stream().map(Pair::caption).toList(), embedded);
    for (int i = 0; i < window.size(); i++) {
      requireFinite(window.get(i), rows.get(i));
      vectors.write(new Vector(window.get(i).id(), rows.get(i)));
    }
  }

  private void requireFinite(Pair pair, float[] values) {
    float largest = settings.storage() == Dtype.FLOAT16 ? 65_504f : Float.MAX_VALUE;
    for (float value : values) {
      if (!(Math.abs(value) <= largest)) {
        throw new IllegalStateException(
            message(
                "Cannot store the embedding of caption %s because it holds %s. Use another kklip.teacher.dtype, or float32 as kklip.teacher.storage.",
                pair.id(), value));
      }
    }
  }

  /** Frees the teacher. */
  @Override
  public void close() {
    tokenizer.close();
    llama.close();
  }
}
