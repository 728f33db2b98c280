package io.github.kklip.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.kklip.teacher.RandomLlama;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;

/**
 * A Hugging Face folder of a Llama with random weights and 134 million parameters, and captions for
 * it in arrival order. Their lengths are those of captions from the web: log-normal, mean 13
 * tokens, 95 % under 28, the longest 77.
 */
final class LlamaFolder {
  static final String CAPTIONS = "captions.txt";
  private static final int HIDDEN = 1024;
  private static final int INNER = 2752;
  private static final int LAYERS = 8;
  private static final int VOCABULARY = 32_000;
  private static final int WORDS = 2000;

  /** Parameters that every token is multiplied with. */
  static final long LAYER_PARAMETERS = LAYERS * (4L * HIDDEN * HIDDEN + 3L * HIDDEN * INNER);

  private LlamaFolder() {}

  static void write(Path folder, String type, int captions) throws IOException {
    List<String> words = new ArrayList<>();
    for (int i = 0; i < WORDS; i++) {
      words.add("" + (char) ('a' + i / 400) + (char) ('a' + i / 20 % 20) + (char) ('a' + i % 20));
    }
    // For its tokenizer, in which each of these words is one token.
    RandomLlama.write(folder, 1, words, 32, 1);
    ObjectNode config = new ObjectMapper().createObjectNode();
    config.put("model_type", "llama").putArray("architectures").add("LlamaModel");
    config.put("vocab_size", VOCABULARY).put("hidden_size", HIDDEN);
    config.put("intermediate_size", INNER).put("num_hidden_layers", LAYERS);
    config.put("num_attention_heads", 16).put("num_key_value_heads", 16);
    config.put("max_position_embeddings", 256).put("rms_norm_eps", 1e-6);
    config.put("rope_theta", 10000.0).put("hidden_act", "silu").put("tie_word_embeddings", true);
    config.put("bos_token_id", 1).put("eos_token_id", 2).put("torch_dtype", type);
    Files.write(folder.resolve("config.json"), new ObjectMapper().writeValueAsBytes(config));
    writeWeights(folder.resolve("model.safetensors"), type.equals("bfloat16"));
    Random random = new Random(1);
    List<String> lines = new ArrayList<>();
    for (int i = 0; i < captions; i++) {
      long length = Math.round(Math.exp(2.45 + 0.5 * random.nextGaussian()));
      StringBuilder caption = new StringBuilder();
      // The start token is one of the caption's tokens.
      for (int word = 1; word < Math.max(3, Math.min(77, length)); word++) {
        caption.append(word == 1 ? "" : " ").append(words.get(random.nextInt(WORDS)));
      }
      lines.add(caption.toString());
    }
    Files.write(folder.resolve(CAPTIONS), lines);
  }

  private static void writeWeights(Path file, boolean bfloat16) throws IOException {
    Map<String, int[]> shapes = new LinkedHashMap<>();
    shapes.put("embed_tokens.weight", new int[] {VOCABULARY, HIDDEN});
    for (int i = 0; i < LAYERS; i++) {
      String layer = "layers." + i + ".";
      for (String name : List.of("q_proj", "k_proj", "v_proj", "o_proj")) {
        shapes.put(layer + "self_attn." + name + ".weight", new int[] {HIDDEN, HIDDEN});
      }
      shapes.put(layer + "mlp.gate_proj.weight", new int[] {INNER, HIDDEN});
      shapes.put(layer + "mlp.up_proj.weight", new int[] {INNER, HIDDEN});
      shapes.put(layer + "mlp.down_proj.weight", new int[] {HIDDEN, INNER});
      shapes.put(layer + "input_layernorm.weight", new int[] {HIDDEN});
      shapes.put(layer + "post_attention_layernorm.weight", new int[] {HIDDEN});
    }
    shapes.put("norm.weight", new int[] {HIDDEN});
    ObjectNode header = new ObjectMapper().createObjectNode();
    header.putObject("__metadata__").put("format", "pt");
    int width = bfloat16 ? 2 : 4;
    long offset = 0;
    for (Map.Entry<String, int[]> entry : shapes.entrySet()) {
      ObjectNode tensor = header.putObject(entry.getKey()).put("dtype", bfloat16 ? "BF16" : "F32");
      long size = width;
      for (int side : entry.getValue()) {
        size *= side;
      }
      tensor.set("shape", new ObjectMapper().valueToTree(entry.getValue()));
      tensor.putArray("data_offsets").add(offset).add(offset + size);
      offset += size;
    }
    byte[] text = new ObjectMapper().writeValueAsBytes(header);
    byte[] padded =
        (new String(text, StandardCharsets.UTF_8) + " ".repeat((8 - text.length % 8) % 8))
            .getBytes(StandardCharsets.UTF_8);
    Random random = new Random(2);
    float[] draws = new float[1 << 16];
    for (int i = 0; i < draws.length; i++) {
      draws[i] = (float) random.nextGaussian();
    }
    try (OutputStream out = Files.newOutputStream(file);
        DataOutputStream data = new DataOutputStream(out)) {
      data.writeLong(Long.reverseBytes(padded.length));
      data.write(padded);
      for (int[] shape : shapes.values()) {
        int columns = shape[shape.length - 1];
        ByteBuffer row = ByteBuffer.allocate(columns * width).order(ByteOrder.LITTLE_ENDIAN);
        for (int r = 0; r < (shape.length == 1 ? 1 : shape[0]); r++) {
          row.clear();
          int at = random.nextInt(draws.length);
          for (int c = 0; c < columns; c++) {
            float value = shape.length == 1 ? 1 : 0.02f * draws[(at + c) & (draws.length - 1)];
            if (bfloat16) {
              row.putShort((short) (Float.floatToRawIntBits(value) >>> 16));
            } else {
              row.putFloat(value);
            }
          }
          data.write(row.array());
        }
      }
    }
  }

  static void delete(Path folder) throws IOException {
    try (Stream<Path> paths = Files.walk(folder)) {
      for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }
}
