package io.github.kklip.store.shards;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class HalfPrecisionTest {
  @Test
  void everyHalfComesBackFromFloat() {
    for (int bits = 0; bits < 1 << 16; bits++) {
      float value = HalfPrecision.toFloat((short) bits);
      boolean isNan = (bits & 0x7FFF) > 0x7C00;
      assertThat(Float.isNaN(value)).isEqualTo(isNan);
      if (!isNan) {
        assertThat(HalfPrecision.of(value)).as("%04x", bits).isEqualTo((short) bits);
      }
    }
    assertThat(Float.isNaN(HalfPrecision.toFloat(HalfPrecision.of(Float.NaN)))).isTrue();
  }

  @Test
  void whatLiesBetweenGoesToTheNearestAndTiesToEven() {
    for (int bits = 0; bits < 0x7BFF; bits++) {
      float low = HalfPrecision.toFloat((short) bits);
      float high = HalfPrecision.toFloat((short) (bits + 1));
      // Halves have 11 bits, so that the middle of two is exact in a float.
      float middle = (low + high) / 2;
      int even = (bits & 1) == 0 ? bits : bits + 1;
      assertThat(HalfPrecision.of(middle)).as("%04x", bits).isEqualTo((short) even);
      assertThat(HalfPrecision.of(Math.nextDown(middle))).isEqualTo((short) bits);
      assertThat(HalfPrecision.of(-Math.nextUp(middle))).isEqualTo((short) ((bits + 1) | 0x8000));
    }
  }

  @Test
  void knownValues() {
    assertThat(HalfPrecision.toFloat((short) 0x3C00)).isEqualTo(1f);
    assertThat(HalfPrecision.toFloat((short) 0x7BFF)).isEqualTo(65504f);
    assertThat(HalfPrecision.of(65519.99f)).isEqualTo((short) 0x7BFF);
    assertThat(HalfPrecision.of(65520f)).isEqualTo((short) 0x7C00);
    assertThat(HalfPrecision.of(0x1p-25f)).isEqualTo((short) 0);
    assertThat(HalfPrecision.of(-0f)).isEqualTo((short) 0x8000);
  }
}
