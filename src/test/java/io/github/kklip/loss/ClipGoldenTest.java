package io.github.kklip.loss;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.kklip.config.ElementType;
import io.github.kklip.config.Seeds;
import io.github.kklip.config.Settings;
import io.github.kklip.model.ClipConfig;
import io.github.kklip.model.ClipModel;
import io.github.kklip.model.Tokens;
import io.github.kklip.model.TowerPass;
import io.github.kklip.optim.AdamW;
import io.github.kklip.optim.Clip;
import io.github.kklip.optim.Schedule;
import io.github.kklip.safetensors.Safetensors;
import io.github.kklip.tensor.FlatTensor;
import io.github.kklip.tensor.TestDevice;
import io.github.kklip.tensor.Torch;
import java.io.IOException;
import java.io.InputStream;
import java.nio.DoubleBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BiFunction;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Features, losses, all gradients and twenty optimizer steps (learning rate 1e-3 with five steps of
 * warm-up and a cosine, betas 0.9 and 0.98, eps 1e-6, weight decay 0.2, norm clipped to 1) against
 * transformers' CLIPModel and torch.optim.AdamW (made by src/test/python/clip_golden.py, in
 * float64).
 */
class ClipGoldenTest {
  private NDManager manager;

  @BeforeEach
  void open() {
    Torch.start(1);
    manager = TestDevice.manager();
  }

  @AfterEach
  void close() {
    manager.close();
  }

  /** A model with the golden file's weights, and its batch. */
  private final class Case {
    final JsonNode golden;
    final ElementType type;
    final ClipModel model;
    final Losses losses;
    final List<int[]> captions = new ArrayList<>();
    final Tokens tokens;
    final NDArray pixels;
    final int rows;

    Case(String name, ElementType type) {
      this.type = type;
      try (InputStream in =
          ClipGoldenTest.class.getResourceAsStream("/golden/model/" + name + ".json")) {
        golden = new ObjectMapper().readTree(in);
      } catch (IOException e) {
        throw new AssertionError(e);
      }
      ClipConfig config = ClipConfig.parse(golden.get("config").toString(), name);
      ClipModel.Heads heads =
          new ClipModel.Heads(
              golden.get("teacher").intValue(),
              golden.get("concept_count").intValue(),
              golden.get("shared").booleanValue());
      model = new ClipModel(manager, config, heads, type, type);
      model
          .parameters()
          .tensors()
          .forEach(
              (key, tensor) ->
                  Torch.copy(tensor, array(weight(key, tensor.getShape()), tensor.getShape())));
      model.parameters().bindGradients();
      JsonNode weights = golden.get("weights");
      losses =
          new Losses(
              model,
              new Losses.Weights(
                  weights.get("emb").doubleValue(),
                  weights.get("concept").doubleValue(),
                  weights.get("contrastive").doubleValue()));
      golden.get("captions").forEach(row -> captions.add(ints(row)));
      rows = captions.size();
      tokens = Tokens.of(manager, config.text(), captions);
      int side = config.vision().image();
      double[] drawn = values("pixels", rows * 3 * side * side);
      System.arraycopy(drawn, 0, drawn, 3 * side * side, 3 * side * side);
      for (int i = 0; i < drawn.length; i++) {
        drawn[i] *= 2;
      }
      pixels = array(drawn, new Shape(rows, 3, side, side));
    }

    private NDArray array(double[] values, Shape shape) {
      return Torch.cast(manager.create(values, shape), type);
    }

    /** The batch of one of {@code ranks} equal ranks that begins at row {@code offset}. */
    Losses.Inputs batch(NDArray text, NDArray image, int offset, int count) {
      int dimension = model.heads().teacher();
      JsonNode concepts = golden.get("concepts");
      JsonNode kept = golden.get("concept_weights");
      int width = concepts.get(0).size();
      long[] indices = new long[count * width];
      double[] weights = new double[count * width];
      for (int i = 0; i < indices.length; i++) {
        indices[i] = concepts.get(offset + i / width).get(i % width).longValue();
        weights[i] = kept.get(offset + i / width).get(i % width).doubleValue();
      }
      int[] imageNumbers = ints(golden.get("images"));
      long[] images = new long[rows];
      for (int i = 0; i < rows; i++) {
        images[i] = imageNumbers[i];
      }
      return new Losses.Inputs(
          text,
          image,
          manager.create(images),
          offset,
          count,
          Torch.narrow(
              array(values("teacher", rows * dimension), new Shape(rows, dimension)),
              offset,
              count),
          manager.create(indices, new Shape(count, width)),
          array(weights, new Shape(count, width)));
    }

    Losses.LossResult step() {
      model.parameters().zeroGradients();
      try (TowerPass text = model.textPass(manager, tokens, false);
          TowerPass image = model.imagePass(manager, pixels, false)) {
        Losses.LossResult result =
            losses.compute(manager, batch(text.features(), image.features(), 0, rows));
        text.backward(result.dText(), segment -> {});
        image.backward(result.dImage(), segment -> {});
        return result;
      }
    }

    void assertGradients(double tolerance) {
      JsonNode gradients = golden.get("gradients");
      assertThat(model.parameters().tensors()).hasSize(gradients.size());
      for (Map.Entry<String, JsonNode> gradient : gradients.properties()) {
        String name = gradient.getKey();
        assertFingerprint(
            gradient.getValue(), name, model.parameters().gradientOf(name), tolerance);
      }
    }

    void assertParts(Map<String, Double> parts, double tolerance) {
      for (Map.Entry<String, JsonNode> part : golden.get("parts").properties()) {
        double expected = part.getValue().doubleValue();
        assertThat(parts.get(part.getKey()))
            .as(part.getKey())
            .isCloseTo(expected, within(tolerance * expected));
      }
    }

    void assertFingerprint(JsonNode expected, String name, NDArray actual, double tolerance) {
      double[] flat = Torch.cast(actual, ElementType.FLOAT64).toDoubleArray();
      double norm = 0;
      for (double value : flat) {
        norm += value * value;
      }
      double scale = expected.get("norm").doubleValue();
      // A key projection's bias has no gradient but rounding: softmax does not see what is added to
      // all keys.
      double within = tolerance * scale + (name.endsWith("k_proj.bias") ? tolerance : 0);
      assertThat(Math.sqrt(norm)).as("norm of " + name).isCloseTo(scale, within(within));
      for (int k = 0; k < 2; k++) {
        double[] direction = values(name + "/" + k, flat.length);
        double projection = 0;
        for (int i = 0; i < flat.length; i++) {
          projection += flat[i] * direction[i];
        }
        double bound = within * Math.sqrt(flat.length);
        assertThat(projection)
            .as("projection " + k + " of " + name)
            .isCloseTo(expected.get("projections").get(k).doubleValue(), within(bound));
      }
      int stride = Math.max(1, flat.length / 5);
      for (int i = 0; i < expected.get("elements").size(); i++) {
        assertThat(flat[i * stride])
            .as("element of " + name)
            .isCloseTo(expected.get("elements").get(i).doubleValue(), within(within));
      }
    }
  }

  private static int[] ints(JsonNode array) {
    int[] ints = new int[array.size()];
    for (int i = 0; i < ints.length; i++) {
      ints[i] = array.get(i).intValue();
    }
    return ints;
  }

  /** As {@code values} of clip_golden.py. */
  private static double[] values(String name, int count) {
    double[] values = new double[count];
    long state = Seeds.hash(name);
    for (int i = 0; i < count; i++) {
      state += 0x9E3779B97F4A7C15L;
      long z = state;
      z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
      z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
      z ^= z >>> 31;
      values[i] = (z >>> 11) * 0x1p-52 - 1;
    }
    return values;
  }

  private static double[] weight(String name, Shape shape) {
    if (name.equals(ClipModel.LOGIT_SCALE)) {
      return new double[] {2};
    }
    double[] values = values(name, Math.toIntExact(shape.size()));
    boolean norm = name.contains("norm") && name.endsWith(".weight");
    for (int i = 0; i < values.length; i++) {
      values[i] = norm ? 1 + 0.2 * values[i] : 0.3 * values[i];
    }
    return values;
  }

  @ParameterizedTest
  @CsvSource({
    "patch8-quick, FLOAT64, 1e-9",
    "patch14-gelu, FLOAT64, 1e-9",
    "patch16-legacy-end, FLOAT64, 1e-9",
    "patch32-one-layer, FLOAT64, 1e-9",
    "patch8-quick, FLOAT32, 2e-5",
    "patch14-gelu, FLOAT32, 2e-5",
    "patch16-legacy-end, FLOAT32, 2e-5",
    "patch32-one-layer, FLOAT32, 2e-5"
  })
  void equalsTransformers(String name, ElementType type, double tolerance) {
    Case c = new Case(name, type);
    assertFeatures(c, "text", c.model.textFeatures(manager, c.tokens), tolerance);
    assertFeatures(c, "image", c.model.imageFeatures(manager, c.pixels), tolerance);
    Losses.LossResult result = c.step();
    c.assertParts(result.terms(), tolerance);
    c.assertGradients(tolerance);
  }

  /**
   * Four ranks of 2, 1, 1 and 1 rows, one after the other: each runs its own rows through the
   * towers and computes the losses of its rows against all, the gradients of the features are
   * summed as a reduce-scatter does, and each goes back through its own rows. The sums are those of
   * one process.
   */
  @ParameterizedTest
  @CsvSource({
    "patch8-quick, FLOAT64, 1e-9",
    "patch14-gelu, FLOAT64, 1e-9",
    "patch16-legacy-end, FLOAT64, 1e-9",
    "patch32-one-layer, FLOAT64, 1e-9",
    "patch8-quick, FLOAT32, 2e-5",
    "patch16-legacy-end, FLOAT32, 2e-5"
  })
  void fourRanksEqualTransformers(String name, ElementType type, double tolerance) {
    Case c = new Case(name, type);
    int[] first = {0, 2, 3, 4, c.rows};
    List<TowerPass> text = new ArrayList<>();
    List<TowerPass> image = new ArrayList<>();
    for (int rank = 0; rank < 4; rank++) {
      List<int[]> captions = c.captions.subList(first[rank], first[rank + 1]);
      text.add(
          c.model.textPass(manager, Tokens.of(manager, c.model.config().text(), captions), false));
      image.add(
          c.model.imagePass(
              manager, Torch.narrow(c.pixels, first[rank], first[rank + 1] - first[rank]), false));
    }
    NDArray allText = gathered(text);
    NDArray allImages = gathered(image);
    c.model.parameters().zeroGradients();
    Map<String, Double> parts = new TreeMap<>();
    NDArray dText = null;
    NDArray dImage = null;
    for (int rank = 0; rank < 4; rank++) {
      Losses.LossResult result =
          c.losses.compute(
              manager, c.batch(allText, allImages, first[rank], first[rank + 1] - first[rank]));
      result.terms().forEach((part, value) -> parts.merge(part, value, Double::sum));
      dText = dText == null ? result.dText() : dText.add(result.dText());
      dImage = dImage == null ? result.dImage() : dImage.add(result.dImage());
    }
    for (int rank = 0; rank < 4; rank++) {
      int rows = first[rank + 1] - first[rank];
      text.get(rank).backward(Torch.narrow(dText, first[rank], rows), segment -> {});
      image.get(rank).backward(Torch.narrow(dImage, first[rank], rows), segment -> {});
    }
    c.assertParts(parts, tolerance);
    c.assertGradients(tolerance);
  }

  private static NDArray gathered(List<TowerPass> passes) {
    NDList features = new NDList();
    passes.forEach(pass -> features.add(pass.features()));
    return NDArrays.concat(features);
  }

  private static void assertFeatures(Case c, String field, NDArray actual, double tolerance) {
    double[] values = Torch.cast(actual, ElementType.FLOAT64).toDoubleArray();
    JsonNode expected = c.golden.get(field);
    assertThat(values).hasSize(expected.size());
    for (int i = 0; i < values.length; i++) {
      assertThat(values[i])
          .as(field + " " + i)
          .isCloseTo(expected.get(i).doubleValue(), within(tolerance * 3));
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"patch8-quick", "patch14-gelu", "patch16-legacy-end", "patch32-one-layer"})
  void twentyStepsEqualTorchsAdamW(String name) {
    Case c = new Case(name, ElementType.FLOAT64);
    train(c);
    for (Map.Entry<String, JsonNode> parameter :
        c.golden.get("training").get("parameters").properties()) {
      c.assertFingerprint(
          parameter.getValue(),
          parameter.getKey(),
          c.model.parameters().tensor(parameter.getKey()),
          1e-9);
    }
  }

  /** All the golden file's steps. */
  private static void train(Case c) {
    JsonNode t = c.golden.get("training");
    double tolerance = c.type == ElementType.FLOAT64 ? 1e-9 : 1e-4;
    AdamW optimizer =
        new AdamW(
            c.model.parameters(),
            Settings.load(
                    List.of(),
                    List.of(
                        "train.beta1=" + t.get("beta1"),
                        "train.beta2=" + t.get("beta2"),
                        "train.eps=" + t.get("eps"),
                        "train.weight-decay=" + t.get("weight_decay")))
                .train()
                .adamw());
    Clip clip = new Clip(t.get("clip").doubleValue());
    int steps = t.get("steps").intValue();
    Schedule schedule = new Schedule(t.get("lr").doubleValue(), t.get("warmup").longValue(), steps);
    for (int step = 0; step < steps; step++) {
      double loss = c.step().terms().get(Losses.TOTAL);
      double norm = Clip.norm(c.model.parameters().gradient());
      optimizer.step(schedule.at(step), clip.divisor(norm));
      double expected = t.get("losses").get(step).doubleValue();
      assertThat(loss).as("loss of step " + step).isCloseTo(expected, within(tolerance * expected));
      assertThat(norm)
          .as("norm of step " + step)
          .isCloseTo(t.get("norms").get(step).doubleValue(), within(10 * tolerance * norm));
    }
    assertThat(optimizer.steps()).isEqualTo(steps);
  }

  /**
   * The whole first gradient and, after twenty steps, the whole parameter vector, element by
   * element. The key projections' biases stand apart in float32: their true gradient is zero, and
   * Adam makes steps of the rounding.
   */
  @ParameterizedTest
  @CsvSource({"FLOAT64, 1e-9, 1e-9", "FLOAT32, 1e-5, 1e-4"})
  void wholeVectorsEqualTorchs(ElementType type, double ofGradient, double ofParameters)
      throws IOException {
    String name = "patch16-legacy-end";
    Case c = new Case(name, type);
    Safetensors vectors =
        Safetensors.open(Path.of("src/test/resources/golden/model", name + ".safetensors"));
    c.step();
    assertThat(distance(c, vectors, "gradient", true)).isLessThan(ofGradient);
    train(c);
    assertThat(distance(c, vectors, "parameters", type == ElementType.FLOAT64))
        .isLessThan(ofParameters);
  }

  /** The same for every configuration, against the float64 that is within 1e-9 of torch's. */
  @ParameterizedTest
  @ValueSource(
      strings = {"patch8-quick", "patch14-gelu", "patch16-legacy-end", "patch32-one-layer"})
  void wholeVectorsInFloat32AreNearThoseInFloat64(String name) {
    Case exact = new Case(name, ElementType.FLOAT64);
    Case c = new Case(name, ElementType.FLOAT32);
    exact.step();
    c.step();
    assertThat(distance(c, exact, FlatTensor::gradientOf, true)).isLessThan(1e-5);
    train(exact);
    train(c);
    assertThat(distance(c, exact, FlatTensor::tensor, false)).isLessThan(1e-4);
  }

  private static double distance(
      Case c, Case exact, BiFunction<FlatTensor, String, NDArray> what, boolean keyBiases) {
    double off = 0;
    double norm = 0;
    for (String name : exact.model.parameters().tensors().keySet()) {
      if (keyBiases || !name.endsWith("k_proj.bias")) {
        double[] expected = what.apply(exact.model.parameters(), name).toDoubleArray();
        NDArray actual = what.apply(c.model.parameters(), name);
        double[] values = Torch.cast(actual, ElementType.FLOAT64).toDoubleArray();
        for (int i = 0; i < expected.length; i++) {
          off += (values[i] - expected[i]) * (values[i] - expected[i]);
          norm += expected[i] * expected[i];
        }
      }
    }
    return Math.sqrt(off / norm);
  }

  /** || actual - expected || / || expected || over all elements. */
  private static double distance(Case c, Safetensors vectors, String what, boolean keyBiases)
      throws IOException {
    DoubleBuffer expected = vectors.bytes(what).asDoubleBuffer();
    double off = 0;
    double norm = 0;
    for (Map.Entry<String, JsonNode> entry : c.golden.get("gradients").properties()) {
      String name = entry.getKey();
      NDArray array =
          what.equals("gradient")
              ? c.model.parameters().gradientOf(name)
              : c.model.parameters().tensor(name);
      boolean counts = keyBiases || !name.endsWith("k_proj.bias");
      for (double actual : Torch.cast(array, ElementType.FLOAT64).toDoubleArray()) {
        double value = expected.get();
        if (counts) {
          off += (actual - value) * (actual - value);
          norm += value * value;
        }
      }
    }
    assertThat(expected.hasRemaining()).isFalse();
    return Math.sqrt(off / norm);
  }

  @ParameterizedTest
  @ValueSource(strings = {"patch8-quick", "patch14-gelu"})
  void ranksAddUpToOne(String name) {
    Case c = new Case(name, ElementType.FLOAT64);
    NDArray text = c.model.textFeatures(manager, c.tokens);
    NDArray image = c.model.imageFeatures(manager, c.pixels);
    c.model.parameters().zeroGradients();
    Losses.LossResult one = c.losses.compute(manager, c.batch(text, image, 0, c.rows));
    double[] heads = c.model.parameters().gradient().toDoubleArray();
    c.model.parameters().zeroGradients();
    // Uneven ranks: 2, 2 and 1 rows.
    Losses.LossResult first = c.losses.compute(manager, c.batch(text, image, 0, 2));
    Losses.LossResult second = c.losses.compute(manager, c.batch(text, image, 2, 2));
    Losses.LossResult third = c.losses.compute(manager, c.batch(text, image, 4, 1));
    for (String part : one.terms().keySet()) {
      double sum = first.terms().get(part) + second.terms().get(part) + third.terms().get(part);
      assertThat(sum).as(part).isCloseTo(one.terms().get(part), within(1e-12 * sum));
    }
    assertClose(
        first.dText().add(second.dText()).add(third.dText()).toDoubleArray(),
        one.dText().toDoubleArray());
    assertClose(
        first.dImage().add(second.dImage()).add(third.dImage()).toDoubleArray(),
        one.dImage().toDoubleArray());
    assertClose(c.model.parameters().gradient().toDoubleArray(), heads);
  }

  private static void assertClose(double[] actual, double[] expected) {
    for (int i = 0; i < expected.length; i++) {
      assertThat(actual[i]).isCloseTo(expected[i], within(1e-12));
    }
  }
}
