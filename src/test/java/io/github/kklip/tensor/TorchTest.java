package io.github.kklip.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.config.ElementType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TorchTest {
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
  void startSetsUpTheThread() {
    assertThat(Torch.threads()).isEqualTo(1);
    assertThat(Torch.version()).startsWith("2.");
    assertThat(Torch.device("cpu").isGpu()).isFalse();
    assertThatThrownBy(() -> Torch.device("tpu")).hasMessageContaining("neither cpu nor cuda");
    assertThatThrownBy(() -> Torch.device("cuda:999"))
        .hasMessageContaining("cuda:999")
        .hasMessageContaining("CUDA devices");
    assertThatThrownBy(() -> Torch.start(-1))
        .hasMessageContaining("negative number of threads: -1");
  }

  @Test
  void bfloat16RoundsToEightBitsAndKeepsTheGraph() {
    NDArray x = manager.create(new float[] {1f, 1.0039062f, 3.1415927f});
    x.setRequiresGradient(true);
    try (Grad grad = Grad.on()) {
      NDArray half = Torch.cast(x, ElementType.BFLOAT16);
      NDArray back = Torch.cast(half, ElementType.FLOAT32);
      assertThat(back.toFloatArray()).containsExactly(1f, 1f, 3.140625f);
      grad.backward(back.sum());
      assertThat(Grad.of(x).toFloatArray()).containsExactly(1f, 1f, 1f);
    }
    NDArray zeros = Torch.zeros(manager, new Shape(2, 3), ElementType.BFLOAT16);
    assertThat(zeros.getShape()).isEqualTo(new Shape(2, 3));
    assertThat(Torch.floats(zeros)).containsOnly(0f).hasSize(6);
  }

  @Test
  void hostBuffersGoInAndOutInAnyType() {
    ByteBuffer in = ByteBuffer.allocateDirect(8).order(ByteOrder.nativeOrder());
    in.putFloat(1.5f).putFloat(-2f).flip();
    NDManager host = manager.newSubManager(Device.cpu());
    NDArray target = host.zeros(new Shape(2), DataType.FLOAT32);
    ByteBuffer memory = Torch.memory(target);
    ByteBuffer device = Torch.deviceMemory(target, ElementType.FLOAT32);
    Torch.write(target, in, ElementType.FLOAT32);
    assertThat(device).as("the same memory").isEqualTo(memory);
    assertThat(memory.getFloat(4)).as("written in place").isEqualTo(-2f);
    ByteBuffer out = ByteBuffer.allocateDirect(4).order(ByteOrder.nativeOrder());
    Torch.read(target, out, ElementType.BFLOAT16);
    assertThat(out.getShort(0)).isEqualTo((short) 0x3FC0);
    assertThat(out.getShort(2)).isEqualTo((short) 0xC000);
    NDArray wrapped = Torch.wrap(host, out, new Shape(2), ElementType.BFLOAT16);
    assertThat(Torch.floats(wrapped)).containsExactly(1.5f, -2f);
    assertThatThrownBy(() -> Torch.wrap(host, out, new Shape(3), ElementType.BFLOAT16))
        .hasMessageContaining("of 4 bytes");
  }

  @Test
  void mapsAFile(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("numbers.bin");
    ByteBuffer bytes = ByteBuffer.allocate(16).order(ByteOrder.nativeOrder());
    bytes.putFloat(1).putFloat(2).putFloat(3).putFloat(4);
    Files.write(file, bytes.array());
    NDArray mapped = Torch.fromFile(manager, file, 4, ElementType.FLOAT32);
    assertThat(mapped.toFloatArray()).containsExactly(1, 2, 3, 4);
    NDArray part = Torch.view(manager, mapped, 2, new Shape(1, 2));
    assertThat(part.toFloatArray()).containsExactly(3, 4);
  }

  @Test
  void normalDependsOnTheSeedAlone() {
    NDArray a = manager.zeros(new Shape(1000));
    NDArray b = manager.zeros(new Shape(1000));
    NDArray c = manager.zeros(new Shape(1000));
    Torch.normal(a, 1, 0.5, 7);
    Torch.normal(b, 1, 0.5, 7);
    Torch.normal(c, 1, 0.5, 8);
    assertThat(a.toFloatArray()).isEqualTo(b.toFloatArray()).isNotEqualTo(c.toFloatArray());
    assertThat((double) a.mean().getFloat()).isBetween(0.94, 1.06);
  }

  @Test
  void errorsNameTheMethod() {
    TorchModule core = Torch.module("tensor/core");
    assertThatThrownBy(() -> Torch.module("tensor/nothing"))
        .hasMessageContaining("no resource /io/github/kklip/tensor/nothing.torchscript");
    NDArray x = manager.zeros(new Shape(2));
    assertThatThrownBy(() -> core.call(manager, "narrow", x, 1, 5))
        .hasMessageContaining("tensor/core.narrow");
    assertThatThrownBy(() -> core.call(manager, "fill", x, 1.0))
        .hasMessageContaining("returned 0 tensors");
    assertThatThrownBy(() -> core.call(manager, "cast", x, new Object()))
        .hasMessageContaining("java.lang.Object");
  }

  @Test
  void stagedBackwardEqualsTheWhole() {
    NDArray w = manager.create(new float[] {2, 3});
    NDArray v = manager.create(new float[] {-1, 0.5f});
    w.setRequiresGradient(true);
    v.setRequiresGradient(true);
    NDArray x = manager.create(new float[] {5, 7});
    try (Grad grad = Grad.on()) {
      NDArray middle = x.mul(w);
      NDArray cut = grad.leaf(manager, middle);
      NDArray end = cut.mul(cut).mul(v);
      grad.backward(end.sum());
      assertThat(Grad.of(v).toFloatArray()).containsExactly(100, 441);
      grad.backward(middle, Grad.of(cut));
      // d/dw (x w)^2 v = 2 x^2 w v
      assertThat(Grad.of(w).toFloatArray()).containsExactly(-100, 147);
    }
    assertThat(x.mul(w).hasGradient()).isFalse();
  }

  @Test
  void nativeMemoryStaysFlat() {
    TorchModule core = Torch.module("tensor/core");
    long before = 0;
    for (int i = 0; i < 300; i++) {
      try (NDManager step = manager.newSubManager();
          Grad grad = Grad.on()) {
        NDArray x = step.zeros(new Shape(1 << 18));
        x.setRequiresGradient(true);
        NDArray y = core.call(step, "reshape", x, new long[] {512, 512});
        NDList two = core.callAll(step, "cast", y, ElementType.FLOAT64.scalarType());
        grad.backward(two.get(0).sum());
        Grad.of(x);
      }
      if (i == 100) {
        before = ResidentMemory.kibibytes();
      }
    }
    // 200 rounds of about 5 MB each.
    assertThat(ResidentMemory.kibibytes() - before).isLessThan(100_000);
  }
}
