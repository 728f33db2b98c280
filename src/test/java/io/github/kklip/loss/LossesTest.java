package io.github.kklip.loss;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.config.ElementType;
import io.github.kklip.model.ClipConfig;
import io.github.kklip.model.ClipModel;
import io.github.kklip.tensor.TestDevice;
import io.github.kklip.tensor.Torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class LossesTest {
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

  private ClipModel model(ClipModel.Heads heads) {
    ClipModel model =
        new ClipModel(
            manager, ClipConfig.read("tiny"), heads, ElementType.FLOAT32, ElementType.FLOAT32);
    model.parameters().bindGradients();
    return model;
  }

  /** [2, 64] with the first two columns given, so that norms and products are known. */
  private NDArray features(float... firstTwo) {
    float[] all = new float[firstTwo.length / 2 * 64];
    for (int i = 0; i < firstTwo.length; i++) {
      all[i / 2 * 64 + i % 2] = firstTwo[i];
    }
    return manager.create(all, new Shape(firstTwo.length / 2, 64));
  }

  @Test
  void contrastiveOfOrthogonalPairs() {
    ClipModel model = model(ClipModel.Heads.NONE);
    Torch.fill(model.parameters().tensor(ClipModel.LOGIT_SCALE), Math.log(2));
    Losses losses = new Losses(model, new Losses.Weights(0, 0, 1));
    NDArray text = features(3, 0, 0, 5);
    NDArray image = features(7, 0, 0, 1);
    Losses.LossResult result =
        losses.compute(
            manager,
            new Losses.Inputs(
                text, image, manager.create(new long[] {4, 9}), 0, 2, null, null, null));
    // Every row and column has the logits 2 (its partner) and 0.
    double expected = Math.log(1 + Math.exp(-2));
    assertThat(result.terms()).containsOnlyKeys(Losses.CONTRASTIVE, Losses.TOTAL);
    assertThat(result.terms().get(Losses.CONTRASTIVE)).isCloseTo(expected, within(1e-6));
    // dL/d logit_scale = 2 dL/dz = -2 / (1 + e^2)
    assertThat((double) model.parameters().gradientOf(ClipModel.LOGIT_SCALE).getFloat())
        .isCloseTo(-2 / (1 + Math.exp(2)), within(1e-6));
    // Features of unit length change the angle only: no gradient along themselves.
    assertThat((double) result.dText().get(0).get(0).getFloat()).isCloseTo(0, within(1e-7));
  }

  @Test
  void rowsOfOneImageAreNotNegatives() {
    Losses losses = new Losses(model(ClipModel.Heads.NONE), new Losses.Weights(0, 0, 1));
    NDArray text = features(1, 0, 1, 1);
    NDArray image = features(1, 0, 1, 0);
    Losses.LossResult result =
        losses.compute(
            manager,
            new Losses.Inputs(
                text, image, manager.create(new long[] {4, 4}), 0, 2, null, null, null));
    assertThat(result.terms().get(Losses.TOTAL)).isZero();
    assertThat(result.dText().toFloatArray()).containsOnly(0f);
  }

  @Test
  void embeddingAlone() {
    ClipModel model = model(new ClipModel.Heads(1, 0, true));
    Torch.fill(model.parameters().tensor(ClipModel.EMBEDDING_HEAD), 2);
    Losses losses = new Losses(model, new Losses.Weights(3, 0, 0));
    NDArray teacher = manager.create(new float[] {1, 10}, new Shape(2, 1));
    Losses.LossResult result =
        losses.compute(
            manager,
            new Losses.Inputs(
                features(1, 0, 1, 1), features(1, 0, 1, 0), null, 0, 2, teacher, null, null));
    // ((2 - 1)² + (4 - 10)²) / 2
    assertThat(result.terms().get(Losses.EMB)).isEqualTo(18.5);
    assertThat(result.terms().get(Losses.TOTAL)).isEqualTo(55.5);
    // 3 * 2 (2 - 1) * 2 / 2 and 3 * 2 (4 - 10) * 2 / 2
    assertThat(result.dText().get(0).getFloat(5)).isEqualTo(6);
    assertThat(result.dText().get(1).getFloat(5)).isEqualTo(-36);
    assertThat(result.dImage().toFloatArray()).containsOnly(0f).hasSize(128);
  }

  @Test
  void conceptOfAnUndecidedClassifierIsTwiceLogK() {
    Losses losses =
        new Losses(model(new ClipModel.Heads(0, 8, false)), new Losses.Weights(0, 1, 0));
    NDArray concepts = manager.create(new long[] {3, 0, 7, 1}, new Shape(2, 2));
    NDArray weights = manager.create(new float[] {0.25f, 0.75f, 1, 0}, new Shape(2, 2));
    Losses.LossResult result =
        losses.compute(
            manager,
            new Losses.Inputs(
                features(1, 0, 1, 1), features(1, 0, 1, 0), null, 0, 2, null, concepts, weights));
    assertThat(result.terms().get(Losses.CONCEPT)).isCloseTo(2 * Math.log(8), within(1e-6));
  }

  @Test
  void saysWhatIsMissing() {
    ClipModel plain = model(ClipModel.Heads.NONE);
    assertThatThrownBy(() -> new Losses(plain, new Losses.Weights(1, 0, 1)))
        .hasMessageContaining("loss emb")
        .hasMessageContaining("no embedding head");
    assertThatThrownBy(() -> new Losses(plain, new Losses.Weights(0, 1, 1)))
        .hasMessageContaining("no concept head");
    assertThatThrownBy(() -> new Losses.Weights(0, 0, 0)).hasMessageContaining("not all 0");
    Losses losses = new Losses(plain, new Losses.Weights(0, 0, 1));
    assertThatThrownBy(
            () ->
                losses.compute(
                    manager,
                    new Losses.Inputs(
                        features(1, 0), features(1, 0), null, 0, 1, null, null, null)))
        .hasMessageContaining("no image numbers");
  }
}
