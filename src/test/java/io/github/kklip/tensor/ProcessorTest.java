package io.github.kklip.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.Device;
import io.github.kklip.config.ElementType;
import org.junit.jupiter.api.Test;

class ProcessorTest {
  @Test
  void findsTheInstructionsThatMultiplyBfloat16() {
    assertThat(
            Processor.multipliesBfloat16("model name\t: A\nflags\t\t: fpu avx512f avx512_bf16\n"))
        .isTrue();
    assertThat(Processor.multipliesBfloat16("flags\t\t: fpu amx_bf16 amx_tile\n")).isTrue();
    assertThat(Processor.multipliesBfloat16("Features\t: fp asimd i8mm bf16\n")).isTrue();
    assertThat(Processor.multipliesBfloat16("flags\t\t: fpu avx2 fma\n")).isFalse();
    assertThat(Processor.multipliesBfloat16("flags\t\t: fpu not_avx512_bf16_really\n")).isFalse();
    assertThat(Processor.multipliesBfloat16("")).isFalse();
  }

  @Test
  void productsInBfloat16OnlyWhereTheyAreFast() {
    ElementType products = Torch.products(ElementType.BFLOAT16, Device.cpu());
    assertThat(products)
        .isEqualTo(Processor.multipliesBfloat16() ? ElementType.BFLOAT16 : ElementType.FLOAT32);
    assertThat(Torch.products(ElementType.FLOAT32, Device.cpu())).isEqualTo(ElementType.FLOAT32);
    assertThat(Torch.products(ElementType.BFLOAT16, Device.gpu(0))).isEqualTo(ElementType.BFLOAT16);
  }
}
