package io.github.kklip.teacher;

import static io.github.kklip.config.Message.message;
import static io.github.kklip.config.Message.shown;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import io.github.kklip.config.ModelLimits;
import io.github.kklip.config.SettingsException;
import io.github.kklip.store.publication.Json;
import io.github.kklip.store.publication.SmallFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;

/**
 * The shape of a Llama, or of a Mistral, which is one with a sliding window, as the {@code
 * config.json} of a Hugging Face folder gives it. What would change the function and is not
 * implemented here is refused, never ignored.
 *
 * @param headDim width of one attention head; need not be hidden / heads
 * @param keyValueHeads heads of keys and values: each serves heads / keyValueHeads query heads
 * @param maxPositions positions that the model was made for, at most those of its sliding window:
 *     within it, attention is that of a model without
 * @param tied whether the head's weights are the token embeddings
 */
public record LlamaConfig(
    int vocabSize,
    int hidden,
    int intermediate,
    int layers,
    int heads,
    int keyValueHeads,
    int headDim,
    int maxPositions,
    double rmsNormEps,
    Rope rope,
    boolean attentionBias,
    boolean mlpBias,
    boolean tied) {

  /**
   * Rotary position embedding: the angle of position p in dimension pair i is p times frequency i,
   * theta^(-2i / headDim), which a scaling may lower.
   *
   * @param type how the frequencies are scaled
   * @param factor the scaling's factor
   * @param lowFrequency {@code low_freq_factor} of llama3 scaling
   * @param highFrequency {@code high_freq_factor} of llama3 scaling
   * @param originalPositions {@code original_max_position_embeddings} of llama3 scaling
   */
  public record Rope(
      double theta,
      RopeType type,
      double factor,
      double lowFrequency,
      double highFrequency,
      int originalPositions) {

    /** The angle's increase from one position to the next, for each of headDim / 2 pairs. */
    float[] frequencies(int headDim) {
      float[] frequencies = new float[headDim / 2];
      for (int i = 0; i < frequencies.length; i++) {
        // In float32 at each step, as the reference computes it.
        float exponent = (float) (2 * i) / headDim;
        frequencies[i] = scaled(1f / (float) Math.pow(theta, exponent));
      }
      return frequencies;
    }

    private float scaled(float frequency) {
      return switch (type) {
        case DEFAULT -> frequency;
        case LINEAR -> (float) (frequency / factor);
        case LLAMA3 -> {
          double wavelength = 2 * Math.PI / frequency;
          if (wavelength < originalPositions / highFrequency) {
            yield frequency;
          }
          if (wavelength > originalPositions / lowFrequency) {
            yield (float) (frequency / factor);
          }
          double smooth =
              (originalPositions / wavelength - lowFrequency) / (highFrequency - lowFrequency);
          yield (float) ((1 - smooth) * frequency / factor + smooth * frequency);
        }
      };
    }
  }

  /** The scalings of rotary frequencies that are implemented. */
  public enum RopeType {
    DEFAULT,
    LINEAR,
    LLAMA3
  }

  static final String FILE = "config.json";

  /**
   * Reads {@code config.json} of a model folder.
   *
   * @throws IOException when it is missing, is not JSON, is not a Llama's, or asks for something
   *     that is not implemented
   */
  public static LlamaConfig read(Path folder) throws IOException {
    Path file = folder.resolve(FILE);
    if (!Files.isRegularFile(file)) {
      throw new SettingsException(
          message(
              "Cannot use the teacher %s because it has no %s. Set kklip.teacher.path to the Hugging Face folder of a Llama model.",
              folder, FILE));
    }
    byte[] json = SmallFile.read(file, ModelLimits.CONFIG_BYTES);
    try {
      return new ConfigReader(file, Json.tree(json)).read();
    } catch (JsonProcessingException e) {
      throw new IOException(message("Cannot use %s because %s.", file, Json.notJson(json, e)), e);
    }
  }

  /** Parameters of the token embeddings, {@code count} layers and the last norm. */
  public long parameters(int count) {
    long queries = (long) heads * headDim;
    long keys = (long) keyValueHeads * headDim;
    long attention = 2L * hidden * queries + 2L * hidden * keys;
    long attentionBiases = attentionBias ? queries + 2 * keys + hidden : 0;
    long mlp = 3L * hidden * intermediate;
    long mlpBiases = mlpBias ? 2L * intermediate + hidden : 0;
    long layer = attention + attentionBiases + mlp + mlpBiases + 2L * hidden;
    return (long) vocabSize * hidden + count * layer + hidden;
  }

  private record ConfigReader(Path file, JsonNode json) {
    private static final double MOST_THETA = 1e12;
    private static final double MOST_FACTOR = 1e6;

    /** What transformers takes where a Mistral's file does not say. */
    private static final int MISTRAL_KEY_VALUE_HEADS = 8;

    private static final int MISTRAL_POSITIONS = 4096 * 32;
    private static final int MISTRAL_WINDOW = 4096;

    LlamaConfig read() throws IOException {
      String modelType = json.path("model_type").asText("");
      boolean mistral = modelType.equals("mistral");
      if (!mistral && !modelType.equals("llama")) {
        throw refused(
            message("its model_type is '%s', not 'llama' or 'mistral'", shown(modelType)),
            "Set kklip.teacher.path to a Llama or Mistral model.");
      }
      String activation = json.path("hidden_act").asText("silu");
      if (!activation.equals("silu")) {
        throw refused(
            message("hidden_act %s is not implemented, only silu", shown(activation)), "");
      }
      if (json.hasNonNull("quantization_config")) {
        throw refused(
            "its weights are quantised", "Use the float16, bfloat16 or float32 weights instead.");
      }
      int hidden = whole("hidden_size", ModelLimits.WIDTH);
      int heads = whole("num_attention_heads", ModelLimits.HEADS);
      int keyValueHeads =
          json.hasNonNull("num_key_value_heads")
              ? whole("num_key_value_heads", ModelLimits.HEADS)
              : mistral ? MISTRAL_KEY_VALUE_HEADS : heads;
      int headDim =
          json.hasNonNull("head_dim") ? whole("head_dim", ModelLimits.WIDTH) : hidden / heads;
      if (heads % keyValueHeads != 0) {
        throw refused(
            message(
                "num_attention_heads %s is not a multiple of num_key_value_heads %s",
                heads, keyValueHeads),
            "");
      }
      if (!json.hasNonNull("head_dim") && hidden % heads != 0) {
        throw refused(
            message("hidden_size %s is not a multiple of num_attention_heads %s", hidden, heads),
            "");
      }
      if (headDim % 2 != 0) {
        throw refused(message("the width of a head, %s, is odd", headDim), "");
      }
      LlamaConfig config =
          new LlamaConfig(
              whole("vocab_size", ModelLimits.VOCABULARY),
              hidden,
              whole("intermediate_size", ModelLimits.INTERMEDIATE),
              whole("num_hidden_layers", ModelLimits.LAYERS),
              heads,
              keyValueHeads,
              headDim,
              positions(mistral),
              number(json, "rms_norm_eps", 1e-6, 1),
              rope(),
              !mistral && json.path("attention_bias").asBoolean(false),
              !mistral && json.path("mlp_bias").asBoolean(false),
              json.path("tie_word_embeddings").asBoolean(false));
      long parameters = config.parameters(config.layers());
      if (parameters > ModelLimits.PARAMETERS) {
        throw refused(
            message(
                "it has more than %s parameters, %s: its widths and layers do not belong together",
                ModelLimits.PARAMETERS, parameters),
            "");
      }
      return config;
    }

    private int positions(boolean mistral) throws IOException {
      int positions =
          json.hasNonNull("max_position_embeddings")
              ? whole("max_position_embeddings", ModelLimits.POSITIONS)
              : mistral ? MISTRAL_POSITIONS : 2048;
      if (!mistral || (json.has("sliding_window") && json.path("sliding_window").isNull())) {
        return positions;
      }
      return Math.min(
          positions,
          json.has("sliding_window")
              ? whole("sliding_window", ModelLimits.POSITIONS)
              : MISTRAL_WINDOW);
    }

    /** From {@code rope_parameters} (transformers 5), or {@code rope_theta} and rope_scaling. */
    private Rope rope() throws IOException {
      JsonNode nested = json.path("rope_parameters");
      JsonNode scaling = nested.isObject() ? nested : json.path("rope_scaling");
      double theta =
          nested.hasNonNull("rope_theta")
              ? number(nested, "rope_theta", 0, MOST_THETA)
              : number(json, "rope_theta", 10_000, MOST_THETA);
      String keyword = scaling.path("rope_type").asText(scaling.path("type").asText("default"));
      RopeType type;
      try {
        type = RopeType.valueOf(keyword.toUpperCase(Locale.ROOT));
      } catch (IllegalArgumentException e) {
        throw new IOException(
            refused(
                    message(
                        "the rotary scaling '%s' is not implemented, only default, linear and llama3",
                        shown(keyword)),
                    "")
                .getMessage(),
            e);
      }
      if (scaling.path("partial_rotary_factor").asDouble(1) != 1) {
        throw refused("partial_rotary_factor is not implemented", "");
      }
      return switch (type) {
        case DEFAULT -> new Rope(theta, type, 1, 1, 1, 0);
        case LINEAR -> new Rope(theta, type, number(scaling, "factor", 0, MOST_FACTOR), 1, 1, 0);
        case LLAMA3 ->
            new Rope(
                theta,
                type,
                number(scaling, "factor", 0, MOST_FACTOR),
                number(scaling, "low_freq_factor", 0, MOST_FACTOR),
                number(scaling, "high_freq_factor", 0, MOST_FACTOR),
                (int)
                    number(scaling, "original_max_position_embeddings", 0, ModelLimits.POSITIONS));
      };
    }

    private int whole(String field, int most) throws IOException {
      JsonNode node = json.path(field);
      if (!node.isIntegralNumber() || node.bigIntegerValue().signum() < 1) {
        throw refused(message("it lacks the whole number %s", field), "");
      }
      if (!node.canConvertToInt() || node.intValue() > most) {
        throw refused(
            message(
                "its %s is over %s, more than any Llama has: %s",
                field, most, shown(node.toString())),
            "");
      }
      return node.intValue();
    }

    private double number(JsonNode parent, String field, double otherwise, double most)
        throws IOException {
      JsonNode node = parent.path(field);
      double value = node.isMissingNode() || node.isNull() ? otherwise : node.asDouble();
      if (!(value > 0)) {
        throw refused(message("it lacks the positive number %s", field), "");
      }
      if (value > most) {
        throw refused(
            message("its %s is over %s, more than any Llama has: %s", field, most, value), "");
      }
      return value;
    }

    private IOException refused(String reason, String hint) {
      return new IOException(
          ("Cannot use " + file + " as a teacher because " + reason + ". " + hint).trim());
    }
  }
}
