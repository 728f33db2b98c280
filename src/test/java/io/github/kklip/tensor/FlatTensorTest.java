package io.github.kklip.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.config.ElementType;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class FlatTensorTest {
  private NDManager manager;
  private FlatTensor flat;

  @BeforeEach
  void open() {
    Torch.start(1);
    manager = TestDevice.manager();
    flat =
        new FlatTensor(
            manager,
            List.of(
                new FlatTensor.Slot("bias", new Shape(2), List.of(), false, 1),
                new FlatTensor.Slot("late", new Shape(2, 2), List.of("q", "k"), true, 1),
                new FlatTensor.Slot("early", new Shape(2, 3), List.of(), true, 0),
                new FlatTensor.Slot("scale", new Shape(), List.of(), false, 0)),
            ElementType.FLOAT32);
    flat.bindGradients();
  }

  @AfterEach
  void close() {
    manager.close();
  }

  @Test
  void ordersDecayThenSegment() {
    assertThat(flat.slots())
        .extracting(FlatTensor.Slot::name)
        .containsExactly("early", "late", "scale", "bias");
    assertThat(flat.size()).isEqualTo(13);
    assertThat(flat.decayed()).isEqualTo(10);
    assertThat(flat.segment(0))
        .containsExactly(new FlatTensor.Range(0, 6), new FlatTensor.Range(10, 1));
    assertThat(flat.segment(1))
        .containsExactly(new FlatTensor.Range(6, 4), new FlatTensor.Range(11, 2));
    assertThat(flat.tensors().keySet()).containsExactly("early", "q", "k", "scale", "bias");
    assertThat(flat.tensor("k").getShape()).isEqualTo(new Shape(1, 2));
  }

  @Test
  void leavesAndPartsShareTheFlatMemory() {
    Torch.fill(flat.tensor("k"), 3);
    Torch.fill(flat.tensor("scale"), -1);
    assertThat(flat.data().toFloatArray()).containsExactly(0, 0, 0, 0, 0, 0, 0, 0, 3, 3, -1, 0, 0);
    assertThat(flat.leaf("late").toFloatArray()).containsExactly(0, 0, 3, 3);
  }

  @Test
  void gradientsAddUpInTheFlatGradient() {
    Torch.fill(flat.data(), 2);
    for (int round = 1; round <= 2; round++) {
      try (NDManager step = manager.newSubManager();
          Grad grad = Grad.on()) {
        NDArray x = step.create(new float[] {1, 10}, new Shape(1, 2));
        NDArray y = x.matMul(flat.leaf("late")).add(flat.leaf("bias")).mul(flat.leaf("scale"));
        grad.backward(y.sum());
      }
      float n = round;
      // dy/d late = x scale, dy/d scale = sum(x late + bias) = 2 * (22 + 2), dy/d bias = scale
      assertThat(flat.gradient().toFloatArray())
          .containsExactly(0, 0, 0, 0, 0, 0, 2 * n, 2 * n, 20 * n, 20 * n, 48 * n, 2 * n, 2 * n);
    }
    assertThat(flat.gradientOf("k").toFloatArray()).containsExactly(40, 40);
    flat.zeroGradients();
    assertThat(flat.gradient().toFloatArray()).containsOnly(0f);
    assertThat(flat.leaf("late").getGradient().toFloatArray()).containsOnly(0f);
  }

  @Test
  void refusesWhatCannotBePlaced() {
    assertThatThrownBy(() -> new FlatTensor.Slot("odd", new Shape(3), List.of("a", "b"), true, 0))
        .hasMessageContaining("odd")
        .hasMessageContaining("2 equal parts");
    FlatTensor.Slot slot = new FlatTensor.Slot("a", new Shape(3), List.of(), true, 0);
    assertThatThrownBy(() -> new FlatTensor(manager, List.of(slot, slot), ElementType.FLOAT32))
        .hasMessageContaining("twice: a");
    assertThatThrownBy(() -> flat.leaf("b")).hasMessageContaining("Cannot find the parameter b");
  }
}
