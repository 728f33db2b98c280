package io.github.kklip.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.config.ElementType;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** What only the GPU of {@link TestDevice} shows. */
@Tag("gpu")
class TorchGpuTest {
  private static final int ELEMENTS = 1 << 24;

  @BeforeAll
  static void start() {
    Torch.start(1);
  }

  @Test
  void devicesThatAreThereAndOneThatIsNot() {
    assertThat(Torch.gpus()).isPositive();
    assertThat(TestDevice.get().isGpu()).isTrue();
    assertThatThrownBy(() -> Torch.device("cuda:" + Torch.gpus()))
        .hasMessageContaining("sees this many CUDA devices: " + Torch.gpus());
  }

  @Test
  void whatIsSentMayChangeAtOnce() {
    try (NDManager host = Torch.manager(Device.cpu());
        NDManager gpu = TestDevice.manager()) {
      NDArray source = Torch.zeros(host, new Shape(ELEMENTS), ElementType.FLOAT32);
      for (int round = 1; round <= 20; round++) {
        Torch.fill(source, round);
        try (NDArray sent = Torch.send(gpu, source)) {
          Torch.fill(source, -1);
          assertThat(sent.getDevice()).isEqualTo(TestDevice.get());
          assertThat(Torch.scalar(sent.min())).isEqualTo(round);
          assertThat(Torch.scalar(sent.max())).isEqualTo(round);
        }
      }
    }
  }

  @Test
  void freeMemoryIsWhatOthersLeave() {
    long before = Torch.freeMemory(TestDevice.get());
    long bytes = 1L << 30;
    try (NDManager gpu = TestDevice.manager()) {
      Torch.zeros(gpu, new Shape(bytes / Float.BYTES), ElementType.FLOAT32);
      assertThat(before - Torch.freeMemory(TestDevice.get())).isBetween(bytes / 2, 2 * bytes);
    }
  }

  @Test
  void memoryOfTheDeviceIsNotForTheHost() {
    try (NDManager gpu = TestDevice.manager()) {
      NDArray x = Torch.zeros(gpu, new Shape(4), ElementType.FLOAT32);
      assertThatThrownBy(() -> Torch.memory(x)).hasMessageContaining("Use read and write.");
      assertThat(Torch.deviceMemory(x, ElementType.FLOAT32).capacity()).isEqualTo(16);
    }
  }
}
