package io.github.kklip.model;

import static io.github.kklip.config.Message.message;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.config.ElementType;
import io.github.kklip.config.Seeds;
import io.github.kklip.tensor.FlatTensor;
import io.github.kklip.tensor.FlatTensor.Slot;
import io.github.kklip.tensor.Torch;
import io.github.kklip.tensor.TorchModule;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/**
 * CLIP as in "Learning Transferable Visual Models From Natural Language Supervision" (Radford et
 * al., 2021), equal to Hugging Face's CLIPModel tensor for tensor, with KKLIP's heads beside it.
 * All parameters stand in one {@link FlatTensor} under the names of Hugging Face.
 *
 * <p>Segments, in the order in which a forward pass meets them: the text tower ({@code 0} its
 * embeddings, then one a layer; the last one includes the projection), the image tower likewise,
 * and at the end the heads with {@code logit_scale}, whose gradients the losses give. A backward
 * pass goes through a tower from its last segment to its first, and a segment's gradient is final
 * when it is left.
 *
 * <p>Features are the projected embeddings before normalisation, in the type of the parameters
 * whatever the type of the products. Not thread-safe; use it from the thread that called {@link
 * Torch#start}, or one that did so too.
 */
public final class ClipModel implements AutoCloseable {
  /** Name of the logarithm of the contrastive loss's inverse temperature. */
  public static final String LOGIT_SCALE = "logit_scale";

  /** Name of W_e [projection, teacher dimension]. */
  public static final String EMBEDDING_HEAD = "embedding_head.weight";

  /** Name of W_c [projection, concepts]: of both encoders, or of the text encoder. */
  public static final String CONCEPT_HEAD = "concept_head.weight";

  /** Name of the image encoder's own W_c [projection, concepts]. */
  public static final String IMAGE_CONCEPT_HEAD = "image_concept_head.weight";

  /** The tensors of a layer in the order that the methods take them; q, k and v are one. */
  private static final List<String> LAYER =
      List.of(
          "layer_norm1.weight",
          "layer_norm1.bias",
          "self_attn.qkv.weight",
          "self_attn.qkv.bias",
          "self_attn.out_proj.weight",
          "self_attn.out_proj.bias",
          "layer_norm2.weight",
          "layer_norm2.bias",
          "mlp.fc1.weight",
          "mlp.fc1.bias",
          "mlp.fc2.weight",
          "mlp.fc2.bias");

  /**
   * KKLIP's heads; 0 for one that is not there.
   *
   * @param teacher dimension of the teacher's embeddings
   * @param concepts number of concepts
   * @param sharedClassifier one concept classifier for both encoders
   */
  public record Heads(int teacher, int concepts, boolean sharedClassifier) {
    /** Plain CLIP. */
    public static final Heads NONE = new Heads(0, 0, true);
  }

  private final ClipConfig config;
  private final Heads heads;
  private final FlatTensor parameters;
  private final ElementType compute;
  private final TorchModule methods;
  private final List<List<NDArray>> textLayers;
  private final List<List<NDArray>> imageLayers;

  /**
   * A model whose parameters are all zero: {@link #initialise} or {@link #load} it.
   *
   * @param master type of the parameters: FLOAT32, or FLOAT64 to compare exactly
   * @param compute type of the matrix products: {@code master} or BFLOAT16
   */
  public ClipModel(
      NDManager manager, ClipConfig config, Heads heads, ElementType master, ElementType compute) {
    this.config = config;
    this.heads = heads;
    this.compute = compute;
    methods = Torch.module("model/clip");
    parameters = new FlatTensor(manager, slots(config, heads), master);
    textLayers = layers("text_model", config.text().layers());
    imageLayers = layers("vision_model", config.vision().layers());
  }

  private static List<Slot> slots(ClipConfig config, Heads heads) {
    ClipConfig.Text t = config.text();
    ClipConfig.Vision v = config.vision();
    List<Slot> slots = new ArrayList<>();
    String text = "text_model.";
    slots.add(slot(0, text + "embeddings.token_embedding.weight", t.vocabulary(), t.width()));
    slots.add(slot(0, text + "embeddings.position_embedding.weight", t.context(), t.width()));
    int segment = 1;
    for (int i = 0; i < t.layers(); i++) {
      addLayer(slots, segment++, text + "encoder.layers." + i + ".", t.width(), t.intermediate());
    }
    slots.add(slot(segment - 1, text + "final_layer_norm.weight", t.width()));
    slots.add(slot(segment - 1, text + "final_layer_norm.bias", t.width()));
    slots.add(slot(segment - 1, "text_projection.weight", config.projection(), t.width()));

    String image = "vision_model.";
    slots.add(slot(segment, image + "embeddings.class_embedding", v.width()));
    slots.add(
        slot(
            segment,
            image + "embeddings.patch_embedding.weight",
            v.width(),
            3,
            v.patch(),
            v.patch()));
    slots.add(
        slot(
            segment,
            image + "embeddings.position_embedding.weight",
            v.grid() * v.grid() + 1,
            v.width()));
    slots.add(slot(segment, image + "pre_layrnorm.weight", v.width()));
    slots.add(slot(segment, image + "pre_layrnorm.bias", v.width()));
    segment++;
    for (int i = 0; i < v.layers(); i++) {
      addLayer(slots, segment++, image + "encoder.layers." + i + ".", v.width(), v.intermediate());
    }
    slots.add(slot(segment - 1, image + "post_layernorm.weight", v.width()));
    slots.add(slot(segment - 1, image + "post_layernorm.bias", v.width()));
    slots.add(slot(segment - 1, "visual_projection.weight", config.projection(), v.width()));

    slots.add(slot(segment, LOGIT_SCALE));
    if (heads.teacher() > 0) {
      slots.add(slot(segment, EMBEDDING_HEAD, config.projection(), heads.teacher()));
    }
    if (heads.concepts() > 0) {
      slots.add(slot(segment, CONCEPT_HEAD, config.projection(), heads.concepts()));
      if (!heads.sharedClassifier()) {
        slots.add(slot(segment, IMAGE_CONCEPT_HEAD, config.projection(), heads.concepts()));
      }
    }
    return slots;
  }

  /** Tensors of fewer than two dimensions have no weight decay. */
  private static Slot slot(int segment, String name, long... shape) {
    return new Slot(name, new Shape(shape), List.of(), shape.length >= 2, segment);
  }

  private static void addLayer(
      List<Slot> slots, int segment, String prefix, int width, int intermediate) {
    for (String name : LAYER) {
      long[] shape =
          switch (name) {
            case "self_attn.qkv.weight" -> new long[] {3L * width, width};
            case "self_attn.qkv.bias" -> new long[] {3L * width};
            case "self_attn.out_proj.weight" -> new long[] {width, width};
            case "mlp.fc1.weight" -> new long[] {intermediate, width};
            case "mlp.fc1.bias" -> new long[] {intermediate};
            case "mlp.fc2.weight" -> new long[] {width, intermediate};
            default -> new long[] {width};
          };
      List<String> parts =
          name.contains("qkv")
              ? List.of(
                  prefix + name.replace("qkv", "q_proj"),
                  prefix + name.replace("qkv", "k_proj"),
                  prefix + name.replace("qkv", "v_proj"))
              : List.of();
      slots.add(new Slot(prefix + name, new Shape(shape), parts, shape.length >= 2, segment));
    }
  }

  private List<List<NDArray>> layers(String tower, int count) {
    List<List<NDArray>> layers = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      String prefix = tower + ".encoder.layers." + i + ".";
      layers.add(LAYER.stream().map(name -> parameters.leaf(prefix + name)).toList());
    }
    return layers;
  }

  public ClipConfig config() {
    return config;
  }

  public Heads heads() {
    return heads;
  }

  /** All parameters, under Hugging Face's names. */
  public FlatTensor parameters() {
    return parameters;
  }

  /** The logarithm of the contrastive loss's inverse temperature. */
  public double logitScale() {
    return Torch.scalar(parameters.tensor(LOGIT_SCALE));
  }

  /** Brings {@code logit_scale} back into [0, ln 100]: call it after each step of the optimizer. */
  public void clampLogitScale() {
    double value = logitScale();
    double clamped = Math.min(Math.max(value, 0), Math.log(100));
    if (clamped != value) {
      Torch.fill(parameters.tensor(LOGIT_SCALE), clamped);
    }
  }

  /** Number of parameters of a model of this shape. */
  public static long size(ClipConfig config, Heads heads) {
    return slots(config, heads).stream().mapToLong(slot -> slot.shape().size()).sum();
  }

  /** Number of segments of the whole model. */
  public int segments() {
    return headsSegment() + 1;
  }

  /** The segment of the heads and {@code logit_scale}: final when the losses are done. */
  public int headsSegment() {
    return config.text().layers() + config.vision().layers() + 2;
  }

  /** Projected, not normalised embeddings [B, projection] of captions, without a graph. */
  public NDArray textFeatures(NDManager manager, Tokens tokens) {
    return run(manager, new TextTower(tokens));
  }

  /**
   * Projected, not normalised embeddings [B, projection] of normalised images [B, 3, S, S], without
   * a graph.
   */
  public NDArray imageFeatures(NDManager manager, NDArray pixels) {
    return run(manager, new ImageTower(checked(pixels)));
  }

  /**
   * Embeds captions so that a gradient can go back.
   *
   * @param recompute keep only what enters each segment, and compute it again in the backward pass:
   *     less memory, a third more work
   */
  public TowerPass textPass(NDManager manager, Tokens tokens, boolean recompute) {
    return new TowerPass(manager, new TextTower(tokens), recompute);
  }

  /** Embeds images so that a gradient can go back; see {@link #textPass}. */
  public TowerPass imagePass(NDManager manager, NDArray pixels, boolean recompute) {
    return new TowerPass(manager, new ImageTower(checked(pixels)), recompute);
  }

  private NDArray checked(NDArray pixels) {
    int side = config.vision().image();
    Shape shape = pixels.getShape();
    if (shape.dimension() != 4
        || shape.get(1) != 3
        || shape.get(2) != side
        || shape.get(3) != side) {
      throw new IllegalArgumentException(
          message(
              "Cannot embed images of shape %s, because the model takes [B, 3, %s, %s].",
              shape, side, side));
    }
    return pixels;
  }

  private static NDArray run(NDManager manager, TowerPass.Tower tower) {
    NDArray x = tower.forward(manager, 0, null);
    for (int stage = 1; stage < tower.stages(); stage++) {
      NDArray next = tower.forward(manager, stage, x);
      x.close();
      x = next;
    }
    return x;
  }

  private final class TextTower implements TowerPass.Tower {
    private final ClipConfig.Text text = config.text();
    private final Tokens tokens;

    TextTower(Tokens tokens) {
      this.tokens = tokens;
    }

    @Override
    public int stages() {
      return text.layers() + 1;
    }

    @Override
    public int firstSegment() {
      return 0;
    }

    @Override
    public NDArray forward(NDManager manager, int stage, NDArray x) {
      if (stage == 0) {
        return methods.call(
            manager,
            "text_embed",
            tokens.ids(),
            tokens.positions(),
            parameters.tensor("text_model.embeddings.token_embedding.weight"),
            parameters.tensor("text_model.embeddings.position_embedding.weight"));
      }
      List<NDArray> layer = textLayers.get(stage - 1);
      boolean quick = text.activation() == ClipConfig.Activation.QUICK_GELU;
      if (stage < text.layers()) {
        return methods.call(
            manager,
            "layer",
            x,
            layer,
            places(),
            tokens.size(),
            text.heads(),
            true,
            quick,
            text.layerNormEps(),
            compute.scalarType());
      }
      try (NDArray pooled =
          methods.call(
              manager,
              "last_layer",
              x,
              layer,
              places(),
              tokens.last(),
              text.heads(),
              quick,
              text.layerNormEps(),
              compute.scalarType())) {
        return methods.call(
            manager,
            "project",
            pooled,
            parameters.leaf("text_model.final_layer_norm.weight"),
            parameters.leaf("text_model.final_layer_norm.bias"),
            parameters.leaf("text_projection.weight"),
            text.layerNormEps());
      }
    }

    @Override
    public boolean backwardOfFirst(NDManager manager, NDArray gradient) {
      try (NDArray token = parameters.gradientOf("text_model.embeddings.token_embedding.weight");
          NDArray position =
              parameters.gradientOf("text_model.embeddings.position_embedding.weight")) {
        methods.run(
            manager,
            "text_embed_backward",
            tokens.ids(),
            tokens.positions(),
            gradient,
            token,
            position);
      }
      return true;
    }

    /** None where all captions are equally long: their rows stand side by side as they are. */
    private List<NDArray> places() {
      boolean rectangle = tokens.places().size() == tokens.rows().size();
      return rectangle ? List.of() : List.of(tokens.places(), tokens.rows());
    }
  }

  private final class ImageTower implements TowerPass.Tower {
    private final ClipConfig.Vision vision = config.vision();
    private final NDArray pixels;

    ImageTower(NDArray pixels) {
      this.pixels = pixels;
    }

    @Override
    public int stages() {
      return vision.layers() + 1;
    }

    @Override
    public int firstSegment() {
      return config.text().layers() + 1;
    }

    @Override
    public NDArray forward(NDManager manager, int stage, NDArray x) {
      long batch = pixels.getShape().get(0);
      if (stage == 0) {
        return methods.call(
            manager,
            "image_embed",
            pixels,
            parameters.leaf("vision_model.embeddings.patch_embedding.weight"),
            parameters.leaf("vision_model.embeddings.class_embedding"),
            parameters.leaf("vision_model.embeddings.position_embedding.weight"),
            parameters.leaf("vision_model.pre_layrnorm.weight"),
            parameters.leaf("vision_model.pre_layrnorm.bias"),
            vision.layerNormEps(),
            compute.scalarType());
      }
      List<NDArray> layer = imageLayers.get(stage - 1);
      boolean quick = vision.activation() == ClipConfig.Activation.QUICK_GELU;
      if (stage < vision.layers()) {
        return methods.call(
            manager,
            "layer",
            x,
            layer,
            List.of(),
            batch,
            vision.heads(),
            false,
            quick,
            vision.layerNormEps(),
            compute.scalarType());
      }
      long rows = x.getShape().get(0);
      try (NDArray classRows = methods.call(manager, "first_rows", x, rows, rows / batch);
          NDArray pooled =
              methods.call(
                  manager,
                  "last_layer",
                  x,
                  layer,
                  List.of(),
                  classRows,
                  vision.heads(),
                  quick,
                  vision.layerNormEps(),
                  compute.scalarType())) {
        return methods.call(
            manager,
            "project",
            pooled,
            parameters.leaf("vision_model.post_layernorm.weight"),
            parameters.leaf("vision_model.post_layernorm.bias"),
            parameters.leaf("visual_projection.weight"),
            vision.layerNormEps());
      }
    }

    @Override
    public boolean backwardOfFirst(NDManager manager, NDArray gradient) {
      return false;
    }
  }

  /**
   * Seeded random weights with the deviations of CLIP (and of Hugging Face's CLIPModel); biases 0,
   * norms 1. Classifiers: N(0, 1 / projection), so that features of unit variance give logits of
   * unit variance. The head of the teacher's embedding: N(0, 1 / (projection * teacher)), so that
   * its first answers have the length of what they imitate, 1; with the classifiers' deviation
   * their squared length, the teacher's width, would drown the other losses for the first steps.
   */
  public void initialise(long seed) {
    ClipConfig.Text t = config.text();
    ClipConfig.Vision v = config.vision();
    Torch.fill(parameters.data(), 0);
    for (Map.Entry<String, NDArray> entry : parameters.tensors().entrySet()) {
      String name = entry.getKey();
      NDArray tensor = entry.getValue();
      boolean text = name.startsWith("text_");
      double deviation =
          deviation(
              name,
              text ? t.width() : v.width(),
              text ? t.layers() : v.layers(),
              text ? 0.02 : v.initializerRange());
      if (name.equals(LOGIT_SCALE)) {
        Torch.fill(tensor, config.logitScale());
      } else if (name.matches(".*norm\\d?\\.weight")) {
        Torch.fill(tensor, 1);
      } else if (!name.endsWith(".bias")) {
        Torch.normal(tensor, 0, deviation, Seeds.derive(seed, "student-weights", Seeds.hash(name)));
      }
    }
  }

  private double deviation(String name, int width, int layers, double range) {
    double factor = config.initializerFactor();
    double residual = Math.sqrt(1.0 / width) * Math.sqrt(1.0 / (2.0 * layers));
    if (name.equals(EMBEDDING_HEAD)) {
      return Math.sqrt(1.0 / ((double) config.projection() * heads.teacher()));
    } else if (isHead(name)) {
      return Math.sqrt(1.0 / config.projection());
    } else if (name.contains(".q_proj.")
        || name.contains(".k_proj.")
        || name.contains(".v_proj.")
        || name.contains(".fc2.")) {
      return residual * factor;
    } else if (name.contains(".fc1.")) {
      return Math.sqrt(1.0 / (2.0 * width)) * factor;
    } else if (name.contains("token_embedding")
        || name.contains("position_embedding")
        || name.contains("patch_embedding")) {
      return range * factor;
    }
    // Class embedding, output projections of attention, projections into the shared space.
    return Math.sqrt(1.0 / width) * factor;
  }

  /**
   * Copies tensors of Hugging Face's names over the parameters, from any type.
   *
   * @param tensors name to array; heads may be missing (they keep their values), other names of a
   *     CLIPModel must be there
   */
  public void load(Map<String, NDArray> tensors) {
    TreeSet<String> missing = new TreeSet<>();
    parameters
        .tensors()
        .forEach(
            (name, target) -> {
              NDArray source = tensors.get(name);
              if (source == null) {
                if (!isHead(name)) {
                  missing.add(name);
                }
              } else if (!source.getShape().equals(target.getShape())) {
                throw new IllegalArgumentException(
                    message(
                        "Cannot load the tensor %s, because its shape is %s and the model's is %s. Check that the configuration is that of the weights.",
                        name, source.getShape(), target.getShape()));
              } else {
                Torch.copy(target, source);
              }
            });
    if (!missing.isEmpty()) {
      throw new IllegalArgumentException(
          message(
              "Cannot load a CLIP model, because tensors are missing: %s, among them %s.",
              missing.size(), missing.first()));
    }
  }

  /** Whether a tensor is one of KKLIP's heads, which a CLIPModel does not have. */
  public static boolean isHead(String name) {
    return Arrays.asList(EMBEDDING_HEAD, CONCEPT_HEAD, IMAGE_CONCEPT_HEAD).contains(name);
  }

  @Override
  public void close() {
    parameters.close();
  }
}
