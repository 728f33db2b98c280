package io.github.kklip.image;

import static io.github.kklip.config.Message.message;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.kklip.config.ModelLimits;
import io.github.kklip.store.publication.Json;
import java.io.Serializable;
import java.util.Collections;
import java.util.List;

/**
 * What is done to an image before a model sees it; it belongs to the model's weights, and goes with
 * them from folder to folder. {@code PreprocessorConfig} reads it, {@code Preprocess} does it.
 *
 * @param edge pixels that the image is resized to: its shorter side, the longer one in proportion
 *     and rounded down; or both sides
 * @param squash whether both sides become {@code edge}, whatever the image's aspect
 * @param side side of the square that is cut out of the centre, which the model takes; at most
 *     {@code edge}
 * @param rescale factor of each level, 0 to 255
 * @param mean subtracted from each channel, R, G, B
 * @param std then divides each channel
 */
public record Preprocessing(
    int edge,
    boolean squash,
    int side,
    ResizeFilter filter,
    double rescale,
    List<Double> mean,
    List<Double> std)
    implements Serializable {

  /** The class of transformers that does it. */
  static final String PROCESSOR = "CLIPImageProcessor";

  /** The file that holds it in a Hugging Face folder. */
  public static final String FILE = "preprocessor_config.json";

  /** Mean of each channel over the images that CLIP was first trained on. */
  public static final List<Double> CLIP_MEAN = List.of(0.48145466, 0.4578275, 0.40821073);

  /** Standard deviation of each channel over those images. */
  public static final List<Double> CLIP_STD = List.of(0.26862954, 0.26130258, 0.27577711);

  static final double CLIP_RESCALE = 1 / 255.0;

  /** No mean, deviation or factor of a model comes near. */
  private static final double LARGEST = 1e6;

  public Preprocessing {
    if (side < 1 || side > edge || edge > ModelLimits.IMAGE) {
      throw new IllegalArgumentException(
          message(
              "Cannot resize images to %s pixels and cut out %s. Give sides of 1 to %s, the second not over the first.",
              edge, side, ModelLimits.IMAGE));
    }
    mean = List.copyOf(mean);
    std = List.copyOf(std);
    require("image_mean", mean.size() == 3 && mean.stream().allMatch(m -> Math.abs(m) < LARGEST));
    require("image_std", std.size() == 3 && std.stream().allMatch(s -> s > 0 && s < LARGEST));
    require("rescale_factor", rescale > 0 && rescale < LARGEST);
  }

  private static void require(String what, boolean sound) {
    if (!sound) {
      throw new IllegalArgumentException(
          message(
              "Cannot use %s because it is not of numbers below %s, those to multiply or divide by above 0, three of them for the channels.",
              what, LARGEST));
    }
  }

  /**
   * What CLIP was first trained with, for images of another size.
   *
   * @param side side of the square that the model takes, in pixels
   */
  public static Preprocessing clip(int side) {
    return new Preprocessing(
        side, false, side, ResizeFilter.BICUBIC, CLIP_RESCALE, CLIP_MEAN, CLIP_STD);
  }

  /** The {@code preprocessor_config.json} that {@code CLIPImageProcessor} of transformers reads. */
  public byte[] json() {
    ObjectNode json = Json.object();
    json.putObject("crop_size").put("height", side).put("width", side);
    json.put("do_center_crop", true).put("do_convert_rgb", true).put("do_normalize", true);
    json.put("do_rescale", true).put("do_resize", true);
    ArrayNode means = json.putArray("image_mean");
    mean.forEach(means::add);
    ArrayNode deviations = json.putArray("image_std");
    std.forEach(deviations::add);
    json.put("image_processor_type", PROCESSOR);
    json.put("resample", filter.number()).put("rescale_factor", rescale);
    if (squash) {
      json.putObject("size").put("height", edge).put("width", edge);
    } else {
      json.putObject("size").put("shortest_edge", edge);
    }
    return Json.pretty(json);
  }

  /** A channel's number for all three. */
  static List<Double> ofAll(double value) {
    return Collections.nCopies(3, value);
  }
}
