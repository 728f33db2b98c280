package io.github.kklip.teacher;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.offset;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.config.ElementType;
import io.github.kklip.config.TeacherSettings;
import io.github.kklip.safetensors.Safetensors;
import io.github.kklip.safetensors.SafetensorsWriter;
import io.github.kklip.tensor.HostMemory;
import io.github.kklip.tensor.ResidentMemory;
import io.github.kklip.tensor.TestDevice;
import io.github.kklip.tensor.Torch;
import java.io.IOException;
import java.io.OutputStream;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Against transformers' LlamaModel. src/test/python/llama_golden.py wrote the files, and has the
 * formula of the weights a second time.
 */
class LlamaGoldenTest {
  private static final Path GOLDEN = Path.of("src/test/resources/golden/teacher");
  private static final int CAPTIONS = 4;

  @TempDir Path folder;

  @BeforeAll
  static void start() {
    Torch.start(2);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "heads16",
        "heads16-grouped",
        "heads64-tied",
        "heads128-biases",
        "deep",
        "rope-linear",
        "rope-llama3",
        "mistral"
      })
  void equalsTransformers(String name) throws IOException {
    LlamaConfig config = writeModel(name);
    Safetensors golden = Safetensors.open(GOLDEN.resolve(name + ".safetensors"));
    checkFloat32(folder, golden, CAPTIONS);
    checkBfloat16(folder, golden, CAPTIONS);
    int[] first = ids(golden, 0);
    for (int layer = 0; layer < config.layers(); layer++) {
      try (Llama llama = Llama.open(folder, ElementType.FLOAT32, TestDevice.get(), layer, 64)) {
        assertClose(states(llama, List.of(first)).get(0), expected(golden, "layer" + layer));
      }
    }
  }

  /** Some tied models are saved with the head alone, whose weights are the embeddings. */
  @Test
  void readsTheEmbeddingsOfATiedModelFromItsHead() throws IOException {
    LlamaConfig config = writeModel("heads64-tied");
    moveEmbeddingsToHead(config);
    checkFloat32(folder, Safetensors.open(GOLDEN.resolve("heads64-tied.safetensors")), CAPTIONS);

    // In shards, too, where an index says where the head is.
    StringBuilder index =
        new StringBuilder("{\"weight_map\": {\"lm_head.weight\": \"a.safetensors\"");
    for (String name : Safetensors.open(folder).names()) {
      index.append(", \"").append(name).append("\": \"a.safetensors\"");
    }
    Files.writeString(folder.resolve("model.safetensors.index.json"), index + "}}");
    Files.move(folder.resolve("model.safetensors"), folder.resolve("a.safetensors"));
    checkFloat32(folder, Safetensors.open(GOLDEN.resolve("heads64-tied.safetensors")), CAPTIONS);

    Path file = folder.resolve("config.json");
    Files.writeString(file, Files.readString(file).replace("true", "false"));
    assertThatThrownBy(() -> Llama.open(folder, ElementType.FLOAT32, TestDevice.get(), -1, 64))
        .isInstanceOf(IOException.class)
        .hasMessageStartingWith("Cannot find the tensor 'model.embed_tokens.weight' in ");
  }

  /** Writes the weights anew, named as in a LlamaForCausalLM. */
  private void moveEmbeddingsToHead(LlamaConfig config) throws IOException {
    SafetensorsWriter writer = new SafetensorsWriter();
    Path renamed = folder.resolve("renamed");
    try (NDManager manager = Torch.manager()) {
      Safetensors.open(folder)
          .arrays(manager, Llama.tensors(config, config.layers()))
          .forEach(
              (name, array) ->
                  writer.add(
                      name.equals("embed_tokens.weight") ? "lm_head.weight" : "model." + name,
                      array,
                      ElementType.FLOAT32));
      write(writer, renamed);
    }
    Files.move(renamed, folder.resolve("model.safetensors"), StandardCopyOption.REPLACE_EXISTING);
  }

  @Test
  void equalsTransformersOnTrainedWeights() throws IOException {
    Path stories = stories();
    Safetensors golden = Safetensors.open(GOLDEN.resolve("stories260K.safetensors"));
    checkFloat32(stories, golden, 3);
    checkBfloat16(stories, golden, 3);
  }

  private static Path stories() {
    for (String root : List.of("../shared/data", "../../shared/data")) {
      Path path = Path.of(root, "weights/stories260K");
      if (Files.isDirectory(path)) {
        return path;
      }
    }
    return Assumptions.abort("stories260K is not at hand");
  }

  private static void checkFloat32(Path model, Safetensors golden, int captions)
      throws IOException {
    try (Llama llama = Llama.open(model, ElementType.FLOAT32, TestDevice.get(), -1, 64)) {
      List<int[]> batch = batch(golden, captions);
      List<float[]> together = states(llama, batch);
      for (int i = 0; i < captions; i++) {
        float[] expected = expected(golden, "last." + i);
        assertClose(together.get(i), expected);
        assertClose(states(llama, List.of(batch.get(i))).get(0), expected);
      }
    }
  }

  /** No further from the truth than transformers' own bfloat16, times 1.5. */
  private static void checkBfloat16(Path model, Safetensors golden, int captions)
      throws IOException {
    // As this machine would, and in bfloat16 whatever this machine would do.
    checkBfloat16(model, Torch.products(ElementType.BFLOAT16, TestDevice.get()), golden, captions);
    checkBfloat16(model, ElementType.BFLOAT16, golden, captions);
  }

  private static void checkBfloat16(
      Path model, ElementType products, Safetensors golden, int captions) throws IOException {
    double squares = 0;
    double largest = 0;
    long count = 0;
    try (Llama llama =
        Llama.open(model, ElementType.BFLOAT16, products, TestDevice.get(), -1, 64)) {
      List<float[]> states = states(llama, batch(golden, captions));
      for (int i = 0; i < captions; i++) {
        float[] truth = expected(golden, "last." + i);
        for (int j = 0; j < truth.length; j++) {
          double error = Math.abs(states.get(i)[j] - truth[j]);
          squares += error * error;
          largest = Math.max(largest, error);
        }
        count += truth.length;
      }
    }
    assertThat(Math.sqrt(squares / count))
        .isLessThanOrEqualTo(1.5 * golden.bytes("bf16.rms").getDouble());
    assertThat(largest).isLessThanOrEqualTo(1.5 * golden.bytes("bf16.max").getDouble());
  }

  /** In two files with an index, in half precision: the states are those of the rounded weights. */
  @ParameterizedTest
  @EnumSource(names = {"FLOAT16", "BFLOAT16"})
  void readsHalfPrecisionInShards(ElementType half) throws IOException {
    LlamaConfig config = writeModel("heads16-grouped");
    Safetensors whole = Safetensors.open(folder);
    Path shards = Files.createDirectory(folder.resolve("shards"));
    Path rounded = Files.createDirectory(folder.resolve("rounded"));
    for (Path copy : List.of(shards, rounded)) {
      Files.copy(folder.resolve("config.json"), copy.resolve("config.json"));
    }
    List<SafetensorsWriter> parts = List.of(new SafetensorsWriter(), new SafetensorsWriter());
    SafetensorsWriter wide = new SafetensorsWriter();
    StringBuilder index = new StringBuilder();
    try (NDManager manager = Torch.manager()) {
      Map<String, NDArray> arrays = whole.arrays(manager, Llama.tensors(config, config.layers()));
      int number = 0;
      for (Map.Entry<String, NDArray> tensor : arrays.entrySet()) {
        NDArray narrow = Torch.cast(tensor.getValue(), half);
        parts.get(number % 2).add(tensor.getKey(), narrow, half);
        wide.add(tensor.getKey(), Torch.cast(narrow, ElementType.FLOAT32), ElementType.FLOAT32);
        index.append(index.isEmpty() ? "" : ",");
        index.append("\"%s\":\"%d.safetensors\"".formatted(tensor.getKey(), number++ % 2));
      }
      write(parts.get(0), shards.resolve("0.safetensors"));
      write(parts.get(1), shards.resolve("1.safetensors"));
      write(wide, rounded.resolve("model.safetensors"));
    }
    Files.writeString(
        shards.resolve("model.safetensors.index.json"), "{\"weight_map\":{" + index + "}}");
    List<int[]> batch =
        batch(Safetensors.open(GOLDEN.resolve("heads16-grouped.safetensors")), CAPTIONS);
    try (Llama fromShards = Llama.open(shards, ElementType.FLOAT32, TestDevice.get(), -1, 64);
        Llama fromRounded = Llama.open(rounded, ElementType.FLOAT32, TestDevice.get(), -1, 64)) {
      assertThat(states(fromShards, batch).toArray(float[][]::new))
          .isDeepEqualTo(states(fromRounded, batch).toArray(float[][]::new));
    }
  }

  private static void write(SafetensorsWriter writer, Path file) throws IOException {
    try (OutputStream out = Files.newOutputStream(file)) {
      writer.writeTo(out);
    }
  }

  /**
   * A sparse file of Llama 2's 7 billion weights: neither the heap nor resident memory holds it.
   */
  @Test
  void mapsWeightsThatAreLargerThanTheHeap() throws IOException {
    Assumptions.assumeTrue(HostMemory.available() > 16L << 30, "the mapping may be refused");
    Files.writeString(
        folder.resolve("config.json"),
        "{\"model_type\":\"llama\",\"vocab_size\":32000,\"hidden_size\":4096,"
            + "\"intermediate_size\":11008,\"num_hidden_layers\":32,"
            + "\"num_attention_heads\":32,\"max_position_embeddings\":4096,"
            + "\"rms_norm_eps\":1e-5,\"hidden_act\":\"silu\"}");
    LlamaConfig config = LlamaConfig.read(folder);
    StringBuilder header = new StringBuilder();
    long offset = 0;
    for (Map.Entry<String, Shape> tensor : Llama.tensors(config, config.layers()).entrySet()) {
      long end = offset + 2 * tensor.getValue().size();
      header.append(header.isEmpty() ? "{" : ",");
      header.append(
          "\"%s\":{\"dtype\":\"BF16\",\"shape\":%s,\"data_offsets\":[%d,%d]}"
              .formatted(
                  tensor.getKey(),
                  java.util.Arrays.toString(tensor.getValue().getShape()),
                  offset,
                  end));
      offset = end;
    }
    header.append("}");
    header.append(" ".repeat((8 - header.length() % 8) % 8));
    try (RandomAccessFile file =
        new RandomAccessFile(folder.resolve("model.safetensors").toFile(), "rw")) {
      file.writeLong(Long.reverseBytes(header.length()));
      file.writeBytes(header.toString());
      file.setLength(8 + header.length() + offset);
    }
    assertThat(offset)
        .isGreaterThan(13_000_000_000L)
        .isGreaterThan(Runtime.getRuntime().maxMemory());
    long before = ResidentMemory.kibibytes();
    try (Llama whole = Llama.open(folder, ElementType.BFLOAT16, TestDevice.get(), -1, 64)) {
      assertThat(whole.config().layers()).isEqualTo(32);
      assertThat(ResidentMemory.kibibytes() - before).as("growth in KiB").isLessThan(256 * 1024);
    }
    try (Llama firstLayer = Llama.open(folder, ElementType.BFLOAT16, TestDevice.get(), 1, 64)) {
      assertThat(states(firstLayer, List.of(new int[] {1, 2})).get(0))
          .hasSize(2 * 4096)
          .containsOnly(0f);
    }
  }

  @Test
  void embeddingDoesNotDependOnItsBatch() throws IOException {
    writeModel("heads16-grouped");
    Safetensors golden = Safetensors.open(GOLDEN.resolve("heads16-grouped.safetensors"));
    List<int[]> batch = batch(golden, CAPTIONS);
    try (Llama llama = Llama.open(folder, ElementType.FLOAT32, TestDevice.get(), -1, 64)) {
      for (TeacherSettings.TokenPooling pooling : TeacherSettings.TokenPooling.values()) {
        float[] together = embed(llama, batch, pooling);
        for (int i = 0; i < CAPTIONS; i++) {
          float[] alone = embed(llama, List.of(batch.get(i)), pooling);
          for (int j = 0; j < alone.length; j++) {
            assertThat(together[i * alone.length + j]).isCloseTo(alone[j], offset(1e-5f));
          }
        }
      }
    }
  }

  @Test
  void poolsTheStatesOfTheCaption() throws IOException {
    writeModel("heads16");
    Safetensors golden = Safetensors.open(GOLDEN.resolve("heads16.safetensors"));
    int hidden = 64;
    int[] ids = ids(golden, 0);
    float[] states = expected(golden, "last.0");
    try (Llama llama = Llama.open(folder, ElementType.FLOAT32, TestDevice.get(), -1, 64)) {
      for (int j = 0; j < hidden; j++) {
        double sum = 0;
        for (int t = 1; t < ids.length; t++) {
          sum += states[t * hidden + j];
        }
        double withStart = sum + states[j];
        assertThat((double) embed(llama, List.of(ids), TeacherSettings.TokenPooling.MEAN)[j])
            .isCloseTo(sum / (ids.length - 1), offset(1e-5));
        assertThat((double) embed(llama, List.of(ids), TeacherSettings.TokenPooling.MEAN_BOS)[j])
            .isCloseTo(withStart / ids.length, offset(1e-5));
        assertThat(embed(llama, List.of(ids), TeacherSettings.TokenPooling.LAST)[j])
            .isCloseTo(states[(ids.length - 1) * hidden + j], offset(1e-5f));
      }
    }
  }

  private static float[] embed(
      Llama llama, List<int[]> batch, TeacherSettings.TokenPooling pooling) {
    try (NDManager scope = llama.newScope()) {
      return llama.embed(scope, batch, pooling).toFloatArray();
    }
  }

  /** The states of each sequence, without its padding. */
  private static List<float[]> states(Llama llama, List<int[]> batch) {
    try (NDManager scope = llama.newScope()) {
      NDArray all = llama.states(scope, batch);
      int width = llama.config().hidden();
      int longest = (int) all.getShape().get(1);
      float[] values = Torch.floats(all);
      return IntStream.range(0, batch.size())
          .mapToObj(
              row -> {
                int from = row * longest * width;
                return java.util.Arrays.copyOfRange(
                    values, from, from + batch.get(row).length * width);
              })
          .toList();
    }
  }

  private static void assertClose(float[] actual, float[] expected) {
    assertThat(actual).hasSameSizeAs(expected);
    for (int i = 0; i < expected.length; i++) {
      assertThat(actual[i]).as("element %d", i).isCloseTo(expected[i], offset(1e-4f));
    }
  }

  private static List<int[]> batch(Safetensors golden, int captions) throws IOException {
    List<int[]> batch = new ArrayList<>();
    for (int i = 0; i < captions; i++) {
      batch.add(ids(golden, i));
    }
    return batch;
  }

  private static int[] ids(Safetensors golden, int caption) throws IOException {
    long[] ids = new long[Math.toIntExact(golden.entry("ids." + caption).shape().get(0))];
    golden.bytes("ids." + caption).asLongBuffer().get(ids);
    return java.util.Arrays.stream(ids).mapToInt(Math::toIntExact).toArray();
  }

  private static float[] expected(Safetensors golden, String name) throws IOException {
    float[] values = new float[Math.toIntExact(golden.entry(name).size() / 4)];
    golden.bytes(name).asFloatBuffer().get(values);
    return values;
  }

  private LlamaConfig writeModel(String name) throws IOException {
    Files.copy(GOLDEN.resolve(name + ".json"), folder.resolve("config.json"));
    LlamaConfig config = LlamaConfig.read(folder);
    SafetensorsWriter writer = new SafetensorsWriter();
    Map<String, Shape> sorted = new TreeMap<>(Llama.tensors(config, config.layers()));
    int number = 0;
    for (Map.Entry<String, Shape> tensor : sorted.entrySet()) {
      writer.add(
          tensor.getKey(),
          formula(number++, tensor.getKey(), (int) tensor.getValue().size()),
          tensor.getValue().getShape());
    }
    try (OutputStream out = Files.newOutputStream(folder.resolve("model.safetensors"))) {
      writer.writeTo(out);
    }
    return config;
  }

  private static float[] formula(int number, String name, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      float uniform = (mixed(((long) number << 32) + i) >>> 40) / (float) (1 << 23) - 1f;
      values[i] =
          name.contains("norm")
              ? 1f + uniform * 0.25f
              : name.contains("embed") ? uniform : uniform * 0.25f;
    }
    return values;
  }

  /** SplitMix64. */
  private static long mixed(long seed) {
    long x = seed + 0x9E3779B97F4A7C15L;
    x = (x ^ (x >>> 30)) * 0xBF58476D1CE4E5B9L;
    x = (x ^ (x >>> 27)) * 0x94D049BB133111EBL;
    return x ^ (x >>> 31);
  }
}
