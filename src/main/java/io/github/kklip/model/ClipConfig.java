package io.github.kklip.model;

import static io.github.kklip.config.Message.message;
import static io.github.kklip.config.Message.shown;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.kklip.config.ModelLimits;
import io.github.kklip.config.SettingsException;
import io.github.kklip.store.publication.Json;
import io.github.kklip.store.publication.SmallFile;
import io.github.kklip.store.publication.Storage;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * Shape of a CLIP model: the fields of Hugging Face's {@code config.json} of a CLIPModel, with its
 * defaults for fields that are absent.
 *
 * @param projection width of the shared embedding space
 * @param logitScale initial logarithm of the contrastive loss's inverse temperature
 * @param initializerFactor multiplies the deviation of all initial weights
 */
public record ClipConfig(
    Text text, Vision vision, int projection, double logitScale, double initializerFactor) {

  /** The file of a shape in a model folder. */
  public static final String FILE = "config.json";

  /** Names of the shapes that come with the program. */
  public static final List<String> BUILT_IN =
      List.of("tiny", "small", "vit-b-32", "vit-b-16", "vit-l-14");

  /** What stands between the two linear layers of a block. */
  public enum Activation {
    /** x sigmoid(1.702 x). */
    QUICK_GELU("quick_gelu"),
    /** x Phi(x), Phi the normal distribution. */
    GELU("gelu");

    private final String json;

    Activation(String json) {
      this.json = json;
    }
  }

  /**
   * The text encoder.
   *
   * @param context positions: the most tokens of a caption, start and end token included
   * @param intermediate width between the two linear layers of a block
   * @param endId the token whose state is the caption's; 2 is what older configurations say and
   *     means: the highest id in the caption
   */
  public record Text(
      int vocabulary,
      int context,
      int width,
      int intermediate,
      int layers,
      int heads,
      Activation activation,
      double layerNormEps,
      double initializerRange,
      int startId,
      int endId,
      int padId) {
    public Text {
      within("text_config.vocab_size", vocabulary, ModelLimits.VOCABULARY);
      within("text_config.max_position_embeddings", context, ModelLimits.CAPTION_POSITIONS);
      checkTower("text_config", width, intermediate, layers, heads);
    }

    /** Whether the caption's state is that of its highest id. */
    public boolean pooledAtHighestId() {
      return endId == 2;
    }
  }

  /** The image encoder: a vision transformer over square patches of square RGB images. */
  public record Vision(
      int image,
      int patch,
      int width,
      int intermediate,
      int layers,
      int heads,
      Activation activation,
      double layerNormEps,
      double initializerRange) {
    public Vision {
      within("vision_config.image_size", image, ModelLimits.IMAGE);
      within("vision_config.patch_size", patch, ModelLimits.IMAGE);
      checkTower("vision_config", width, intermediate, layers, heads);
      if (image < patch) {
        throw new IllegalArgumentException(
            message(
                "Cannot use a CLIP shape, because its images (%s pixels) are smaller than one patch: %s.",
                image, patch));
      }
      long side = image / patch;
      if (side * side > ModelLimits.PATCHES) {
        throw new IllegalArgumentException(
            message(
                "Cannot use a CLIP shape, because its images of %s pixels have more than %s patches of %s pixels: %s.",
                image, ModelLimits.PATCHES, patch, side * side));
      }
    }

    /**
     * Patches along one side; pixels of the right and lower edge that fill no patch are not seen.
     */
    public int grid() {
      return image / patch;
    }
  }

  public ClipConfig {
    within("projection_dim", projection, ModelLimits.WIDTH);
    long patch = vision.patch();
    long grid = vision.grid();
    long parameters =
        (long) (text.vocabulary() + text.context() + projection) * text.width()
            + block(text.width(), text.intermediate()) * text.layers()
            + (3 * patch * patch + grid * grid + projection) * vision.width()
            + block(vision.width(), vision.intermediate()) * vision.layers();
    if (parameters > ModelLimits.PARAMETERS) {
      throw new IllegalArgumentException(
          message(
              "Cannot use a CLIP shape, because it has more than %s parameters: %s. Its widths and layers do not belong together.",
              ModelLimits.PARAMETERS, parameters));
    }
  }

  /** Weights of a layer, without biases and norms. */
  private static long block(long width, long intermediate) {
    return 4 * width * width + 2 * width * intermediate;
  }

  private static void within(String field, int value, int most) {
    if (value < 1) {
      throw new IllegalArgumentException(
          message("Cannot use a CLIP shape, because %s is not positive: %s.", field, value));
    }
    if (value > most) {
      throw new IllegalArgumentException(
          message(
              "Cannot use a CLIP shape, because %s is over %s, more than any CLIP model has: %s. Give the config.json of a CLIPModel.",
              field, most, value));
    }
  }

  private static void checkTower(String field, int width, int intermediate, int layers, int heads) {
    within(field + ".hidden_size", width, ModelLimits.WIDTH);
    within(field + ".intermediate_size", intermediate, ModelLimits.INTERMEDIATE);
    within(field + ".num_hidden_layers", layers, ModelLimits.LAYERS);
    within(field + ".num_attention_heads", heads, ModelLimits.HEADS);
    if (width % heads != 0) {
      throw new IllegalArgumentException(
          message(
              "Cannot use a CLIP shape, because %s.hidden_size %s is not a multiple of num_attention_heads: %s.",
              field, width, heads));
    }
  }

  /** As {@link #read(String, Configuration)}, of a built-in name or a local path. */
  public static ClipConfig read(String source) {
    return read(source, new Configuration(false));
  }

  /**
   * Reads a shape.
   *
   * @param source a built-in name, a {@code config.json}, or a folder with one, on any file system
   *     that Hadoop knows
   */
  public static ClipConfig read(String source, Configuration configuration) {
    try {
      if (BUILT_IN.contains(source)) {
        try (InputStream in = ClipConfig.class.getResourceAsStream(source + ".json")) {
          return read(in, source);
        }
      }
      Path path = Storage.path(source, configuration);
      FileSystem files = Storage.of(configuration, path);
      boolean folder = files.exists(path) && files.getFileStatus(path).isDirectory();
      if (folder) {
        OpenClipFolder.refuse(files, path);
      }
      Path file = folder ? new Path(path, FILE) : path;
      String name = folder ? source + "/" + FILE : source;
      if (!files.exists(file)) {
        throw new SettingsException(
            message(
                "Cannot read a CLIP shape, because there is no such file: %s. Give a path or one of %s.",
                name, BUILT_IN));
      }
      try (InputStream in = files.open(file)) {
        return read(in, name);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(
          message("Cannot read a CLIP shape from %s: %s", source, e.getMessage()), e);
    }
  }

  /**
   * Reads the bytes of a {@code config.json}; {@code source} is for messages.
   *
   * @throws IOException when they cannot be read, or are more than such a file has
   */
  public static ClipConfig read(InputStream in, String source) throws IOException {
    return parse(
        new String(SmallFile.read(in, source, ModelLimits.CONFIG_BYTES), StandardCharsets.UTF_8),
        source);
  }

  /** Reads the text of a {@code config.json}; {@code source} is for messages. */
  public static ClipConfig parse(String json, String source) {
    JsonNode root;
    try {
      root = Json.tree(json);
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(
          message(
              "Cannot read a CLIP shape from %s, because %s",
              source, Json.notJson(json.getBytes(StandardCharsets.UTF_8), e)),
          e);
    }
    String type = root.path("model_type").asText("");
    if (!type.equals("clip")) {
      throw new IllegalArgumentException(
          message(
              "Cannot read a CLIP shape from %s, because its model_type is not clip: \"%s\". Give the config.json of a CLIPModel.",
              source, shown(type)));
    }
    Fields text = new Fields(source, "text_config", tower(root, "text_config"));
    Fields vision = new Fields(source, "vision_config", tower(root, "vision_config"));
    Fields both = new Fields(source, "", root);
    return new ClipConfig(
        new Text(
            text.integer("vocab_size", 49408),
            text.integer("max_position_embeddings", 77),
            text.integer("hidden_size", 512),
            text.integer("intermediate_size", 2048),
            text.integer("num_hidden_layers", 12),
            text.integer("num_attention_heads", 8),
            text.activation(),
            text.number("layer_norm_eps", 1e-5),
            text.number("initializer_range", 0.02),
            text.integer("bos_token_id", 49406),
            text.integer("eos_token_id", 49407),
            text.integer("pad_token_id", 1)),
        new Vision(
            vision.integer("image_size", 224),
            vision.integer("patch_size", 32),
            vision.integer("hidden_size", 768),
            vision.integer("intermediate_size", 3072),
            vision.integer("num_hidden_layers", 12),
            vision.integer("num_attention_heads", 12),
            vision.activation(),
            vision.number("layer_norm_eps", 1e-5),
            vision.number("initializer_range", 0.02)),
        both.integer("projection_dim", 512),
        both.number("logit_scale_init_value", 2.6592),
        both.number("initializer_factor", 1.0));
  }

  /** Old configurations give a tower's fields twice; the whole of the second place counts. */
  private static JsonNode tower(JsonNode root, String field) {
    JsonNode old = root.path(field + "_dict");
    return old.isObject() ? old : root.path(field);
  }

  private record Fields(String source, String prefix, JsonNode node) {
    /** No epsilon, deviation or logarithm of a CLIP model comes near. */
    private static final int MOST_NUMBER = 1_000_000;

    int integer(String field, int absent) {
      JsonNode value = node.path(field);
      if (value.isMissingNode() || value.isNull()) {
        return absent;
      }
      if (!value.isIntegralNumber()) {
        throw refused(field, "a whole number", value);
      }
      if (!value.canConvertToInt()) {
        throw refused(field, message("from %s to %s", Integer.MIN_VALUE, Integer.MAX_VALUE), value);
      }
      return value.intValue();
    }

    double number(String field, double absent) {
      JsonNode value = node.path(field);
      if (value.isMissingNode() || value.isNull()) {
        return absent;
      }
      if (!value.isNumber()) {
        throw refused(field, "a number", value);
      }
      if (!(Math.abs(value.doubleValue()) <= MOST_NUMBER)) {
        throw refused(field, message("from -%s to %s", MOST_NUMBER, MOST_NUMBER), value);
      }
      return value.doubleValue();
    }

    Activation activation() {
      JsonNode value = node.path("hidden_act");
      String name = value.isMissingNode() ? Activation.QUICK_GELU.json : value.asText();
      for (Activation activation : Activation.values()) {
        if (activation.json.equals(name)) {
          return activation;
        }
      }
      throw refused("hidden_act", "quick_gelu or gelu", value);
    }

    private IllegalArgumentException refused(String field, String allowed, JsonNode value) {
      return new IllegalArgumentException(
          message(
              "Cannot read a CLIP shape from %s, because %s is not %s: %s.",
              source,
              prefix.isEmpty() ? field : prefix + "." + field,
              allowed,
              shown(value.toString())));
    }
  }

  /** The {@code config.json} of this shape, as Hugging Face's CLIPModel reads it. */
  public String json() {
    ObjectNode root = Json.object();
    root.putArray("architectures").add("CLIPModel");
    root.put("model_type", "clip");
    root.put("initializer_factor", initializerFactor);
    root.put("logit_scale_init_value", logitScale);
    root.put("projection_dim", projection);
    root.put("torch_dtype", "float32");
    ObjectNode t = root.putObject("text_config");
    t.put("model_type", "clip_text_model");
    t.put("vocab_size", text.vocabulary);
    t.put("max_position_embeddings", text.context);
    tower(
        t,
        text.width,
        text.intermediate,
        text.layers,
        text.heads,
        text.activation,
        text.layerNormEps,
        text.initializerRange);
    t.put("bos_token_id", text.startId);
    t.put("eos_token_id", text.endId);
    t.put("pad_token_id", text.padId);
    ObjectNode v = root.putObject("vision_config");
    v.put("model_type", "clip_vision_model");
    v.put("image_size", vision.image);
    v.put("patch_size", vision.patch);
    v.put("num_channels", 3);
    tower(
        v,
        vision.width,
        vision.intermediate,
        vision.layers,
        vision.heads,
        vision.activation,
        vision.layerNormEps,
        vision.initializerRange);
    return root.toPrettyString() + "\n";
  }

  private void tower(
      ObjectNode node,
      int width,
      int intermediate,
      int layers,
      int heads,
      Activation activation,
      double eps,
      double range) {
    node.put("hidden_size", width);
    node.put("intermediate_size", intermediate);
    node.put("num_hidden_layers", layers);
    node.put("num_attention_heads", heads);
    node.put("hidden_act", activation.json);
    node.put("layer_norm_eps", eps);
    node.put("initializer_range", range);
    node.put("initializer_factor", initializerFactor);
    node.put("projection_dim", projection);
    node.put("attention_dropout", 0.0);
  }

  /**
   * This shape for a tokenizer of another size, whose last two ids are the start and the end token.
   */
  public ClipConfig withVocabulary(int size) {
    return new ClipConfig(
        new Text(
            size,
            text.context,
            text.width,
            text.intermediate,
            text.layers,
            text.heads,
            text.activation,
            text.layerNormEps,
            text.initializerRange,
            size - 2,
            size - 1,
            size - 1),
        vision,
        projection,
        logitScale,
        initializerFactor);
  }
}
