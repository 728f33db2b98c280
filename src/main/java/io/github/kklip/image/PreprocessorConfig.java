package io.github.kklip.image;

import static io.github.kklip.config.Message.message;
import static io.github.kklip.config.Message.shown;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import io.github.kklip.config.ModelLimits;
import io.github.kklip.config.SettingsException;
import io.github.kklip.store.publication.Json;
import io.github.kklip.store.publication.SmallFile;
import io.github.kklip.store.publication.Storage;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * Reads a {@link Preprocessing} from the files of a model folder. What would change an image's
 * numbers and is not done here is refused with its name and value, never ignored.
 */
public final class PreprocessorConfig {
  /** What transformers has called CLIP's processor; another model's has other defaults. */
  private static final Set<String> PROCESSORS =
      Set.of(
          Preprocessing.PROCESSOR,
          "CLIPImageProcessorFast",
          "CLIPImageProcessorPil",
          "CLIPFeatureExtractor");

  /** Parts of the picture or of its numbers that CLIP's processor is told to change on top. */
  private static final List<String> UNKNOWN_STEPS = List.of("do_pad", "use_square_size");

  private final Path source;
  private final JsonNode json;
  private final int side;

  /**
   * @param source the file, for errors
   * @param side side of the square that the model takes
   */
  private PreprocessorConfig(Path source, JsonNode json, int side) {
    this.source = source;
    this.json = json;
    this.side = side;
  }

  /** As {@link #read(String, Configuration, int)}, of a local folder. */
  public static Preprocessing read(java.nio.file.Path folder, int side) throws IOException {
    // Not the URI as text, in which spaces are escaped: Hadoop would take the escapes for names.
    return read(new Path(folder.toUri()).toString(), new Configuration(false), side);
  }

  /**
   * That of a model folder: {@code image_processor} in {@code processor_config.json}, else {@code
   * preprocessor_config.json}, else {@code preprocess_cfg} in {@code open_clip_config.json}, else
   * {@link Preprocessing#clip}.
   *
   * @param side side of the square that the model takes
   * @throws SettingsException when it asks for something that is not done here, or gives the model
   *     images of another size
   * @throws IOException when a file cannot be read or is damaged
   */
  public static Preprocessing read(String folder, Configuration configuration, int side)
      throws IOException {
    Path path = Storage.path(folder, configuration);
    Path nested = new Path(path, "processor_config.json");
    Optional<JsonNode> processor =
        tree(nested, configuration)
            .map(json -> json.path("image_processor"))
            .filter(JsonNode::isObject);
    if (processor.isPresent()) {
      return new PreprocessorConfig(nested, processor.get(), side).ofTransformers();
    }
    Path own = new Path(path, Preprocessing.FILE);
    Optional<JsonNode> preprocessor = tree(own, configuration);
    if (preprocessor.isPresent()) {
      return new PreprocessorConfig(own, preprocessor.get(), side).ofTransformers();
    }
    Path openClip = new Path(path, "open_clip_config.json");
    Optional<JsonNode> config = tree(openClip, configuration);
    if (config.isPresent()) {
      return new PreprocessorConfig(openClip, config.get().path("preprocess_cfg"), side)
          .ofOpenClip();
    }
    return Preprocessing.clip(side);
  }

  private static Optional<JsonNode> tree(Path file, Configuration configuration)
      throws IOException {
    byte[] json;
    try (InputStream in = Storage.of(configuration, file).open(file)) {
      json = SmallFile.read(in, file.toString(), ModelLimits.CONFIG_BYTES);
    } catch (FileNotFoundException e) {
      return Optional.empty();
    }
    try {
      return Optional.of(Json.tree(json));
    } catch (JsonProcessingException e) {
      throw new IOException(
          message("Cannot read %s because %s. Fetch the file again.", file, Json.notJson(json, e)),
          e);
    }
  }

  /** As {@code CLIPImageProcessor} of transformers reads it, with its defaults. */
  private Preprocessing ofTransformers() {
    for (String field : List.of("image_processor_type", "feature_extractor_type")) {
      String type = json.path(field).asText(Preprocessing.PROCESSOR);
      if (!PROCESSORS.contains(type)) {
        throw refused(field, message("only %s is read", Preprocessing.PROCESSOR));
      }
    }
    for (String step : UNKNOWN_STEPS) {
      if (flag(step, false)) {
        throw refused(step, "that step is not done here");
      }
    }
    if (!json.path("data_format").asText("channels_first").equals("channels_first")) {
      throw refused("data_format", "the model takes channels first");
    }
    if (!flag("do_resize", true)) {
      throw refused("do_resize", "images of all sizes come");
    }
    boolean squash = isSquare("size", flag("default_to_square", false));
    int edge = squash ? square("size") : shortestEdge();
    boolean crops = flag("do_center_crop", true);
    if (!crops && !squash) {
      throw refused("do_center_crop", "images would not become squares, which the model takes");
    }
    int cut = crops ? (isSet("crop_size") ? square("crop_size") : 224) : edge;
    if (cut != side) {
      throw refused(
          crops ? "crop_size" : "size", message("the model takes images of %s pixels", side));
    }
    if (edge < cut) {
      throw refused(
          "size", message("it is smaller than crop_size %s: images would get a margin", cut));
    }
    ResizeFilter filter = ResizeFilter.BICUBIC;
    if (isSet("resample")) {
      filter =
          Optional.of(json.path("resample"))
              .filter(JsonNode::isInt)
              .flatMap(number -> ResizeFilter.of(number.intValue()))
              .orElseThrow(
                  () ->
                      refused(
                          "resample",
                          "of Pillow's filters 1 to 5 are done here: lanczos, bilinear, bicubic, box and hamming"));
    }
    boolean normalises = flag("do_normalize", true);
    return preprocessing(
        edge,
        squash,
        filter,
        flag("do_rescale", true)
            ? number("rescale_factor", json.path("rescale_factor"), Preprocessing.CLIP_RESCALE)
            : 1,
        normalises ? channels("image_mean", Preprocessing.CLIP_MEAN) : Preprocessing.ofAll(0),
        normalises ? channels("image_std", Preprocessing.CLIP_STD) : Preprocessing.ofAll(1));
  }

  /** As open_clip reads its {@code preprocess_cfg} for evaluation, with its defaults. */
  private Preprocessing ofOpenClip() {
    if (!json.path("mode").asText("RGB").equals("RGB")) {
      throw refused("mode", "only RGB is done here");
    }
    String resize = json.path("resize_mode").asText("shortest");
    if (!resize.equals("shortest") && !resize.equals("squash")) {
      throw refused("resize_mode", "only shortest and squash are done here");
    }
    if (isSet("size") && square("size") != side) {
      throw refused("size", message("the model takes images of %s pixels", side));
    }
    ResizeFilter filter =
        switch (json.path("interpolation").asText("bicubic")) {
          // open_clip evaluates with bicubic where training draws the filter.
          case "bicubic", "random" -> ResizeFilter.BICUBIC;
          case "bilinear" -> ResizeFilter.BILINEAR;
          default -> throw refused("interpolation", "only bicubic and bilinear are open_clip's");
        };
    return preprocessing(
        side,
        resize.equals("squash"),
        filter,
        Preprocessing.CLIP_RESCALE,
        channels("mean", Preprocessing.CLIP_MEAN),
        channels("std", Preprocessing.CLIP_STD));
  }

  private Preprocessing preprocessing(
      int edge,
      boolean squash,
      ResizeFilter filter,
      double rescale,
      List<Double> mean,
      List<Double> std) {
    try {
      return new Preprocessing(edge, squash, side, filter, rescale, mean, std);
    } catch (IllegalArgumentException e) {
      throw new SettingsException(
          message("Cannot use the images' preprocessing in %s. %s", source, e.getMessage()), e);
    }
  }

  private boolean isSet(String field) {
    return json.hasNonNull(field);
  }

  private boolean flag(String field, boolean absent) {
    JsonNode value = json.path(field);
    if (!isSet(field)) {
      return absent;
    }
    if (!value.isBoolean()) {
      throw refused(field, "it must be true or false");
    }
    return value.booleanValue();
  }

  /** Whether both sides are given, and not the shorter one. */
  private boolean isSquare(String field, boolean wholeIsSquare) {
    JsonNode size = json.path(field);
    return size.isArray()
        || size.has("height")
        || size.has("width")
        || (size.isNumber() && wholeIsSquare);
  }

  private int shortestEdge() {
    JsonNode size = json.path("size");
    if (!isSet("size")) {
      return 224;
    }
    if (size.isObject() && (size.size() != 1 || !size.has("shortest_edge"))) {
      throw refused("size", "only shortest_edge, or height and width, are done here");
    }
    return pixels("size", size.isObject() ? size.path("shortest_edge") : size);
  }

  /** A number, or two that are equal. */
  private int square(String field) {
    JsonNode size = json.path(field);
    if (size.isNumber()) {
      return pixels(field, size);
    }
    JsonNode height = size.isArray() ? size.path(0) : size.path("height");
    JsonNode width = size.isArray() ? size.path(1) : size.path("width");
    if (size.size() != 2 || pixels(field, height) != pixels(field, width)) {
      throw refused(field, "the model takes squares");
    }
    return pixels(field, height);
  }

  private int pixels(String field, JsonNode value) {
    if (!value.isInt() || value.intValue() < 1 || value.intValue() > ModelLimits.IMAGE) {
      throw refused(field, message("it must be of whole numbers from 1 to %s", ModelLimits.IMAGE));
    }
    return value.intValue();
  }

  /** A number for each of three channels, or one for all. */
  private List<Double> channels(String field, List<Double> absent) {
    JsonNode value = json.path(field);
    if (!isSet(field)) {
      return absent;
    }
    if (value.isNumber()) {
      return Preprocessing.ofAll(value.doubleValue());
    }
    List<Double> channels = new ArrayList<>();
    for (JsonNode channel : value) {
      channels.add(number(field, channel, 0));
    }
    if (channels.size() != 3) {
      throw refused(field, "it must be of three numbers, for red, green and blue");
    }
    return channels;
  }

  private double number(String field, JsonNode value, double absent) {
    if (value.isMissingNode() || value.isNull()) {
      return absent;
    }
    if (!value.isNumber()) {
      throw refused(field, "it must be of numbers");
    }
    return value.doubleValue();
  }

  private SettingsException refused(String field, String why) {
    return new SettingsException(
        message(
            "Cannot use the model's preprocessing of images because %s has %s = %s: %s. Use another model; embeddings of images that were prepared otherwise would be wrong.",
            source,
            field,
            json.has(field) ? shown(json.path(field).toString()) : "(not set)",
            why));
  }
}
