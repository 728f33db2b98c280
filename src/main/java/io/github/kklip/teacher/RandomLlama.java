package io.github.kklip.teacher;

import ai.djl.ndarray.types.Shape;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.kklip.config.Seeds;
import io.github.kklip.safetensors.SafetensorsWriter;
import io.github.kklip.store.publication.Json;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * A tiny Llama with random weights, for demonstrations and tests without a trained one. It is not a
 * language model: its embeddings tell captions apart by the words in them and, a little, by their
 * order, and know nothing of meaning. The {@code config.json} that it writes says so.
 *
 * <p>Token embeddings are N(0, 1). Projections are N(0, 0.5 / inputs), so that each layer adds
 * context without drowning the words.
 */
public final class RandomLlama {
  private static final String SPACE = "▁";
  private static final String START = "<s>";
  private static final String END = "</s>";
  private static final String UNKNOWN = "<unk>";

  private RandomLlama() {}

  /**
   * Writes a Hugging Face folder: {@code config.json}, {@code model.safetensors}, {@code
   * tokenizer.json}. Equal arguments give equal files.
   *
   * @param words each becomes one token, lower-cased; other words are spelled
   * @param hidden width; a multiple of 32
   */
  public static void write(Path folder, long seed, Collection<String> words, int hidden, int layers)
      throws IOException {
    Files.createDirectories(folder);
    Map<String, Integer> vocabulary = new LinkedHashMap<>();
    List<String> merges = vocabulary(words, vocabulary);
    Files.writeString(
        folder.resolve("tokenizer.json"), tokenizer(vocabulary, merges).toPrettyString());
    ObjectNode config = Json.object();
    config.put("comment", "Random weights from seed " + seed + ": not a trained model.");
    config.put("model_type", "llama").putArray("architectures").add("LlamaModel");
    config.put("vocab_size", vocabulary.size()).put("hidden_size", hidden);
    config.put("intermediate_size", 2 * hidden).put("num_hidden_layers", layers);
    config.put("num_attention_heads", hidden / 16).put("num_key_value_heads", hidden / 32);
    config.put("max_position_embeddings", 512).put("rms_norm_eps", 1e-5);
    config.put("rope_theta", 10000.0).put("hidden_act", "silu").put("tie_word_embeddings", true);
    config.put("bos_token_id", 1).put("eos_token_id", 2).put("torch_dtype", "float32");
    Files.writeString(folder.resolve(LlamaConfig.FILE), config.toPrettyString());
    writeWeights(folder, seed, LlamaConfig.read(folder));
  }

  private static void writeWeights(Path folder, long seed, LlamaConfig config) throws IOException {
    SafetensorsWriter writer = new SafetensorsWriter();
    for (Map.Entry<String, Shape> tensor : Llama.tensors(config, config.layers()).entrySet()) {
      String name = tensor.getKey();
      Shape shape = tensor.getValue();
      SplittableRandom random =
          new SplittableRandom(Seeds.derive(seed, "random-llama", Seeds.hash(name)));
      float[] values = new float[(int) shape.size()];
      double deviation =
          name.startsWith("embed_tokens") ? 1 : Math.sqrt(0.5 / shape.get(shape.dimension() - 1));
      for (int i = 0; i < values.length; i++) {
        values[i] = shape.dimension() == 1 ? 1 : (float) (normal(random) * deviation);
      }
      writer.add(name, values, shape.getShape());
    }
    try (OutputStream out = Files.newOutputStream(folder.resolve("model.safetensors"))) {
      writer.metadata("comment", "random weights, not a trained model").writeTo(out);
    }
  }

  /** Box and Muller's method, in StrictMath: equal on every machine. */
  private static double normal(SplittableRandom random) {
    double radius = StrictMath.sqrt(-2 * StrictMath.log(1 - random.nextDouble()));
    return radius * StrictMath.cos(2 * StrictMath.PI * random.nextDouble());
  }

  /**
   * Fills the vocabulary as Llama's is laid out (special tokens, 256 bytes, pieces) and returns the
   * merges. A word grows from its start, one character at a time; as every left part begins with
   * the mark of a word's start, no merge of one word can apply inside another.
   */
  private static List<String> vocabulary(
      Collection<String> words, Map<String, Integer> vocabulary) {
    for (String special : List.of(UNKNOWN, START, END)) {
      vocabulary.put(special, vocabulary.size());
    }
    for (int b = 0; b < 256; b++) {
      vocabulary.put(String.format(Locale.ROOT, "<0x%02X>", b), vocabulary.size());
    }
    TreeSet<String> sorted = new TreeSet<>();
    words.forEach(word -> sorted.add(word.toLowerCase(Locale.ROOT)));
    TreeSet<String> characters = new TreeSet<>(List.of(SPACE));
    Map<String, String> grown = new TreeMap<>();
    for (String word : sorted) {
      String prefix = SPACE;
      for (int point : word.codePoints().toArray()) {
        String character = Character.toString(point);
        characters.add(character);
        grown.put(prefix + character, prefix + " " + character);
        prefix += character;
      }
    }
    characters.forEach(character -> vocabulary.put(character, vocabulary.size()));
    // Shorter pieces sort before the longer ones that they begin.
    grown.keySet().forEach(piece -> vocabulary.put(piece, vocabulary.size()));
    return List.copyOf(grown.values());
  }

  private static ObjectNode tokenizer(Map<String, Integer> vocabulary, List<String> merges) {
    ObjectNode root = Json.object().put("version", "1.0");
    root.putNull("truncation").putNull("padding");
    ArrayNode added = root.putArray("added_tokens");
    for (String special : List.of(UNKNOWN, START, END)) {
      added
          .addObject()
          .put("id", vocabulary.get(special))
          .put("content", special)
          .put("single_word", false)
          .put("lstrip", false)
          .put("rstrip", false)
          .put("normalized", false)
          .put("special", true);
    }
    ArrayNode steps = root.putObject("normalizer").put("type", "Sequence").putArray("normalizers");
    steps.addObject().put("type", "Lowercase");
    steps.addObject().put("type", "Prepend").put("prepend", SPACE);
    ObjectNode spaces = steps.addObject().put("type", "Replace");
    spaces.putObject("pattern").put("String", " ");
    spaces.put("content", SPACE);
    root.putNull("pre_tokenizer");
    ObjectNode frame = root.putObject("post_processor").put("type", "TemplateProcessing");
    ArrayNode single = frame.putArray("single");
    single.addObject().putObject("SpecialToken").put("id", START).put("type_id", 0);
    single.addObject().putObject("Sequence").put("id", "A").put("type_id", 0);
    ArrayNode pair = frame.putArray("pair");
    pair.addObject().putObject("Sequence").put("id", "A").put("type_id", 0);
    pair.addObject().putObject("Sequence").put("id", "B").put("type_id", 1);
    ObjectNode start = frame.putObject("special_tokens").putObject(START).put("id", START);
    start.putArray("ids").add(vocabulary.get(START));
    start.putArray("tokens").add(START);
    root.putNull("decoder");
    ObjectNode model = root.putObject("model").put("type", "BPE").putNull("dropout");
    model.put("unk_token", UNKNOWN).putNull("continuing_subword_prefix");
    model.putNull("end_of_word_suffix").put("fuse_unk", true).put("byte_fallback", true);
    ObjectNode ids = model.putObject("vocab");
    vocabulary.forEach(ids::put);
    ArrayNode list = model.putArray("merges");
    merges.forEach(list::add);
    return root;
  }
}
