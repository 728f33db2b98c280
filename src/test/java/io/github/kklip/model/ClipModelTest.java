package io.github.kklip.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.config.ElementType;
import io.github.kklip.tensor.TestDevice;
import io.github.kklip.tensor.Torch;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class ClipModelTest {
  private static final ClipConfig TINY = ClipConfig.read("tiny");
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

  private ClipModel model(ElementType master, ElementType compute) {
    ClipModel model =
        new ClipModel(manager, TINY, new ClipModel.Heads(16, 8, false), master, compute);
    model.initialise(3);
    return model;
  }

  private static List<int[]> captions() {
    int start = TINY.text().startId();
    int end = TINY.text().endId();
    return List.of(
        new int[] {start, 5, 6, end},
        new int[] {start, 7, end},
        new int[] {start, 9, 8, 7, 6, 5, end});
  }

  private NDArray pixels(ElementType type) {
    NDArray pixels = Torch.zeros(manager, new Shape(3, 3, 32, 32), type);
    Torch.normal(pixels, 0, 1, 11);
    return pixels;
  }

  @Test
  void aCaptionDoesNotDependOnItsBatch() {
    ClipModel model = model(ElementType.FLOAT64, ElementType.FLOAT64);
    double[] together =
        model.textFeatures(manager, Tokens.of(manager, TINY.text(), captions())).toDoubleArray();
    int width = TINY.projection();
    for (int row = 0; row < 3; row++) {
      double[] alone =
          model
              .textFeatures(manager, Tokens.of(manager, TINY.text(), List.of(captions().get(row))))
              .toDoubleArray();
      for (int i = 0; i < width; i++) {
        assertThat(together[row * width + i]).isCloseTo(alone[i], within(1e-13));
      }
    }
  }

  @Test
  void gradientsAreThoseOfFiniteDifferences() {
    ClipModel model = model(ElementType.FLOAT64, ElementType.FLOAT64);
    model.parameters().bindGradients();
    Tokens tokens = Tokens.of(manager, TINY.text(), captions());
    NDArray pixels = pixels(ElementType.FLOAT64);
    NDArray dText = Torch.zeros(manager, new Shape(3, TINY.projection()), ElementType.FLOAT64);
    NDArray dImage = Torch.zeros(manager, new Shape(3, TINY.projection()), ElementType.FLOAT64);
    Torch.normal(dText, 0, 1, 1);
    Torch.normal(dImage, 0, 1, 2);
    List<Integer> left = new ArrayList<>();
    try (TowerPass pass = model.textPass(manager, tokens, false)) {
      pass.backward(dText, left::add);
    }
    try (TowerPass pass = model.imagePass(manager, pixels, false)) {
      pass.backward(dImage, left::add);
    }
    assertThat(left).containsExactly(2, 1, 0, 5, 4, 3);
    double step = 1e-5;
    for (String name : model.parameters().tensors().keySet()) {
      if (ClipModel.isHead(name) || name.equals(ClipModel.LOGIT_SCALE)) {
        continue;
      }
      NDArray tensor = model.parameters().tensor(name);
      NDArray direction = Torch.zeros(manager, tensor.getShape(), ElementType.FLOAT64);
      Torch.normal(direction, 0, 1, 5);
      tensor.addi(direction.mul(step));
      double above = projected(model, tokens, pixels, dText, dImage);
      tensor.subi(direction.mul(2 * step));
      double below = projected(model, tokens, pixels, dText, dImage);
      tensor.addi(direction.mul(step));
      double expected = (above - below) / (2 * step);
      double actual = model.parameters().gradientOf(name).mul(direction).sum().toDoubleArray()[0];
      assertThat(actual)
          .as(name)
          .isCloseTo(expected, within(1e-6 * Math.max(1, Math.abs(expected))));
    }
  }

  private double projected(
      ClipModel model, Tokens tokens, NDArray pixels, NDArray dText, NDArray dImage) {
    try (NDManager scope = manager.newSubManager()) {
      return model.textFeatures(scope, tokens).mul(dText).sum().toDoubleArray()[0]
          + model.imageFeatures(scope, pixels).mul(dImage).sum().toDoubleArray()[0];
    }
  }

  @Test
  void recomputingAndMicroBatchesGiveTheSameGradient() {
    ClipModel model = model(ElementType.FLOAT64, ElementType.FLOAT64);
    model.parameters().bindGradients();
    NDArray pixels = pixels(ElementType.FLOAT64);
    NDArray gradient = Torch.zeros(manager, new Shape(3, TINY.projection()), ElementType.FLOAT64);
    Torch.normal(gradient, 0, 1, 2);
    Tokens tokens = Tokens.of(manager, TINY.text(), captions());
    double[] whole = gradient(model, tokens, pixels, gradient, false);
    assertThat(gradient(model, tokens, pixels, gradient, true)).isEqualTo(whole);
    model.parameters().zeroGradients();
    for (int row = 0; row < 3; row++) {
      NDArray d = Torch.narrow(gradient, row, 1);
      try (TowerPass text =
              model.textPass(
                  manager,
                  Tokens.of(manager, TINY.text(), captions().subList(row, row + 1)),
                  false);
          TowerPass image = model.imagePass(manager, Torch.narrow(pixels, row, 1), false)) {
        text.backward(d, segment -> {});
        image.backward(d, segment -> {});
      }
    }
    double[] parts = model.parameters().gradient().toDoubleArray();
    for (int i = 0; i < whole.length; i++) {
      assertThat(parts[i]).isCloseTo(whole[i], within(1e-12));
    }
  }

  private double[] gradient(
      ClipModel model, Tokens tokens, NDArray pixels, NDArray gradient, boolean recompute) {
    model.parameters().zeroGradients();
    try (TowerPass text = model.textPass(manager, tokens, recompute);
        TowerPass image = model.imagePass(manager, pixels, recompute)) {
      assertThat(text.features().toDoubleArray())
          .isEqualTo(model.textFeatures(manager, tokens).toDoubleArray());
      text.backward(gradient, segment -> {});
      image.backward(gradient, segment -> {});
    }
    return model.parameters().gradient().toDoubleArray();
  }

  @Test
  void bfloat16StaysNear() {
    ClipModel exact = model(ElementType.FLOAT32, ElementType.FLOAT32);
    ClipModel rough = model(ElementType.FLOAT32, ElementType.BFLOAT16);
    rough.parameters().bindGradients();
    NDArray pixels = pixels(ElementType.FLOAT32);
    Tokens tokens = Tokens.of(manager, TINY.text(), captions());
    assertThat(
            difference(rough.imageFeatures(manager, pixels), exact.imageFeatures(manager, pixels)))
        .isBetween(1e-6, 2e-2);
    assertThat(difference(rough.textFeatures(manager, tokens), exact.textFeatures(manager, tokens)))
        .isBetween(1e-6, 2e-2);
    NDArray gradient = manager.ones(new Shape(3, TINY.projection()));
    double[] expected;
    try (ClipModel precise = model(ElementType.FLOAT64, ElementType.FLOAT64)) {
      precise.parameters().bindGradients();
      expected =
          gradient(
              precise,
              tokens,
              Torch.cast(pixels, ElementType.FLOAT64),
              Torch.cast(gradient, ElementType.FLOAT64),
              false);
    }
    try (TowerPass text = rough.textPass(manager, tokens, false);
        TowerPass image = rough.imagePass(manager, pixels, false)) {
      text.backward(gradient, segment -> {});
      image.backward(gradient, segment -> {});
    }
    float[] actual = rough.parameters().gradient().toFloatArray();
    double error = 0;
    double norm = 0;
    for (int i = 0; i < expected.length; i++) {
      error += Math.pow(actual[i] - expected[i], 2);
      norm += expected[i] * expected[i];
    }
    assertThat(Math.sqrt(error / norm)).isBetween(1e-4, 3e-2);
  }

  private static double difference(NDArray a, NDArray b) {
    return a.sub(b).abs().max().getFloat() / b.abs().max().getFloat();
  }

  @Test
  void initialWeightsHaveClipsDeviations() {
    ClipModel model = model(ElementType.FLOAT32, ElementType.FLOAT32);
    Map<String, Double> expected =
        Map.of(
            "text_model.embeddings.token_embedding.weight",
            0.02,
            "text_model.encoder.layers.0.self_attn.q_proj.weight",
            1 / 8.0 / 2,
            "vision_model.encoder.layers.1.self_attn.out_proj.weight",
            1 / 8.0,
            "vision_model.encoder.layers.1.mlp.fc1.weight",
            1 / Math.sqrt(128),
            "vision_model.encoder.layers.1.mlp.fc2.weight",
            1 / 8.0 / 2,
            "vision_model.embeddings.patch_embedding.weight",
            0.02,
            "text_projection.weight",
            1 / 8.0,
            ClipModel.EMBEDDING_HEAD,
            1 / 8.0 / 4,
            ClipModel.CONCEPT_HEAD,
            1 / 8.0);
    expected.forEach(
        (name, deviation) -> {
          NDArray tensor = model.parameters().tensor(name);
          assertThat(Math.sqrt(tensor.square().mean().getFloat()) / deviation)
              .as(name)
              .isBetween(0.9, 1.1);
        });
    assertThat(model.parameters().tensor("vision_model.pre_layrnorm.weight").toFloatArray())
        .containsOnly(1f);
    assertThat(
            model
                .parameters()
                .tensor("text_model.encoder.layers.0.layer_norm2.weight")
                .toFloatArray())
        .containsOnly(1f);
    assertThat(model.parameters().tensor("text_model.encoder.layers.0.mlp.fc1.bias").toFloatArray())
        .containsOnly(0f);
    assertThat((double) model.parameters().tensor(ClipModel.LOGIT_SCALE).getFloat())
        .isCloseTo(Math.log(1 / 0.07), within(1e-6));
    assertThat(model(ElementType.FLOAT32, ElementType.FLOAT32).parameters().data().toFloatArray())
        .isEqualTo(model.parameters().data().toFloatArray());
  }

  @Test
  void loadsByNameAndSaysWhatIsWrong() {
    ClipModel source = model(ElementType.FLOAT32, ElementType.FLOAT32);
    ClipModel target =
        new ClipModel(
            manager,
            TINY,
            new ClipModel.Heads(16, 8, false),
            ElementType.FLOAT32,
            ElementType.FLOAT32);
    Map<String, NDArray> tensors = new HashMap<>(source.parameters().tensors());
    target.load(tensors);
    assertThat(target.parameters().data().toFloatArray())
        .isEqualTo(source.parameters().data().toFloatArray());
    tensors.remove("text_projection.weight");
    assertThatThrownBy(() -> target.load(tensors))
        .hasMessageContaining("tensors are missing: 1, among them text_projection.weight");
    tensors.put("text_projection.weight", manager.zeros(new Shape(2, 2)));
    assertThatThrownBy(() -> target.load(tensors))
        .hasMessageContaining("text_projection.weight")
        .hasMessageContaining("(2, 2)");
  }

  @Test
  void refusesWrongInput() {
    ClipModel model = model(ElementType.FLOAT32, ElementType.FLOAT32);
    assertThatThrownBy(() -> model.imageFeatures(manager, manager.zeros(new Shape(1, 3, 16, 16))))
        .hasMessageContaining("(1, 3, 16, 16)")
        .hasMessageContaining("[B, 3, 32, 32]");
    assertThatThrownBy(() -> Tokens.of(manager, TINY.text(), List.of(new int[] {1, 2})))
        .hasMessageContaining("lacks the end token 1023");
    assertThatThrownBy(() -> Tokens.of(manager, TINY.text(), List.of(new int[33])))
        .hasMessageContaining("33 tokens");
    assertThatThrownBy(() -> Tokens.of(manager, TINY.text(), List.of(new int[] {5000, 1023})))
        .hasMessageContaining("token 5000");
  }
}
