package io.github.kklip.optim;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.config.ElementType;
import io.github.kklip.config.Settings;
import io.github.kklip.tensor.FlatTensor;
import io.github.kklip.tensor.TestDevice;
import io.github.kklip.tensor.Torch;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class OptimTest {
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

  @Test
  void adamWByHand() {
    FlatTensor flat =
        new FlatTensor(
            manager,
            List.of(
                new FlatTensor.Slot("decayed", new Shape(1, 1), List.of(), true, 0),
                new FlatTensor.Slot("free", new Shape(1), List.of(), false, 0)),
            ElementType.FLOAT32);
    flat.bindGradients();
    Torch.fill(flat.data(), 1);
    AdamW optimizer =
        new AdamW(
            flat,
            Settings.load(
                    List.of(),
                    List.of("train.beta2=0.99", "train.eps=1e-8", "train.weight-decay=0.5"))
                .train()
                .adamw());
    Torch.fill(flat.gradient(), 4);
    optimizer.step(0.1, 2);
    // First step: m / (1 - beta1) = g, sqrt(v / (1 - beta2)) = |g|, so that the step is lr.
    assertThat(flat.data().toFloatArray()[0]).isCloseTo(1 - 0.05f - 0.1f, within(1e-6f));
    assertThat(flat.data().toFloatArray()[1]).isCloseTo(1 - 0.1f, within(1e-6f));
    assertThat(optimizer.firstMoment().toFloatArray()[1]).isCloseTo(0.2f, within(1e-6f));
    assertThat(optimizer.secondMoment().toFloatArray()[1]).isCloseTo(0.04f, within(1e-6f));
    assertThat(optimizer.steps()).isEqualTo(1);
  }

  @Test
  void aRestoredStateGoesOnAsTheOriginal() {
    float[] whole = run(4, 4);
    assertThat(run(4, 2)).isEqualTo(whole);
  }

  private float[] run(int steps, int restoreAt) {
    FlatTensor flat = flat();
    AdamW optimizer = new AdamW(flat, Settings.load(List.of(), List.of()).train().adamw());
    for (int step = 0; step < steps; step++) {
      if (step == restoreAt) {
        FlatTensor copy = flat();
        Torch.copy(copy.data(), flat.data());
        AdamW restored = new AdamW(copy, Settings.load(List.of(), List.of()).train().adamw());
        Torch.copy(restored.firstMoment(), optimizer.firstMoment());
        Torch.copy(restored.secondMoment(), optimizer.secondMoment());
        restored.restore(optimizer.steps());
        flat = copy;
        optimizer = restored;
      }
      Torch.normal(flat.gradient(), 0, 1, step);
      optimizer.step(1e-2, 1);
    }
    return flat.data().toFloatArray();
  }

  private FlatTensor flat() {
    FlatTensor flat =
        new FlatTensor(
            manager,
            List.of(new FlatTensor.Slot("w", new Shape(7, 9), List.of(), true, 0)),
            ElementType.FLOAT32);
    flat.bindGradients();
    return flat;
  }

  @Test
  void normOfManyElementsIsExact() {
    // 70,000 elements: a whole row and a rest.
    NDArray x = Torch.zeros(manager, new Shape(70_000), ElementType.FLOAT32);
    Torch.fill(x, 0.5);
    assertThat(Clip.norm(x)).isCloseTo(0.5 * Math.sqrt(70_000), within(1e-4));
    Torch.fill(Torch.narrow(x, 69_999, 1), Double.NaN);
    assertThat(Clip.norm(x)).isNaN();
    Torch.fill(x, 0);
    Torch.fill(Torch.narrow(x, 3, 1), Double.POSITIVE_INFINITY);
    assertThat(Clip.norm(x)).isInfinite();
    assertThat(Clip.norm(manager.create(new float[] {3, 4}))).isCloseTo(5, within(1e-6));
  }

  @Test
  void clipsLongGradientsOnly() {
    assertThat(new Clip(1).divisor(0.5)).isEqualTo(1);
    assertThat(new Clip(2).divisor(6)).isCloseTo(3, within(1e-6));
    assertThat(new Clip(0).divisor(1e9)).isEqualTo(1);
  }

  @Test
  void scheduleWarmsUpAndFallsToZero() {
    Schedule schedule = new Schedule(1e-3, 4, 12);
    assertThat(schedule.at(0)).isEqualTo(2.5e-4);
    assertThat(schedule.at(3)).isEqualTo(1e-3);
    assertThat(schedule.at(4)).isEqualTo(1e-3);
    assertThat(schedule.at(8)).isCloseTo(5e-4, within(1e-12));
    assertThat(schedule.at(12)).isZero();
    assertThat(new Schedule(1, 10, 5).at(4)).isEqualTo(0.5);
    assertThatThrownBy(() -> new Schedule(0, 1, 1)).hasMessageContaining("peak 0.0");
  }
}
