package io.github.kklip.store.shards;

/** IEEE 754 binary16 in the bits of a short, which Java 17 has no type for. */
final class HalfPrecision {
  private HalfPrecision() {}

  /** The nearest half, ties to even; beyond 65,519.99 infinite. */
  static short of(float value) {
    int bits = Float.floatToRawIntBits(value);
    int sign = (bits >>> 16) & 0x8000;
    int magnitude = bits & 0x7FFF_FFFF;
    if (magnitude > 0x7F80_0000) {
      return (short) (sign | 0x7E00);
    }
    if (magnitude >= 0x4780_0000) {
      return (short) (sign | 0x7C00);
    }
    if (magnitude >= 0x3880_0000) {
      // Rebase the exponent from 127 to 15; adding the half below the last kept bit rounds, and
      // the kept bit itself makes ties even. A carry runs on into the exponent as it should.
      int rebased = magnitude - (112 << 23);
      return (short) (sign | ((rebased + 0xFFF + ((rebased >>> 13) & 1)) >>> 13));
    }
    // Subnormal: the number of units of 2^-24, which is exact in float before it is rounded.
    float units = Float.intBitsToFloat(magnitude) * 0x1.0p24f;
    return (short) (sign | (int) Math.rint(units));
  }

  static float toFloat(short half) {
    int exponent = (half >>> 10) & 0x1F;
    int fraction = half & 0x3FF;
    int sign = (half & 0x8000) << 16;
    if (exponent == 0) {
      float magnitude = fraction * 0x1.0p-24f;
      return sign == 0 ? magnitude : -magnitude;
    }
    int bits = exponent == 0x1F ? 0x7F80_0000 : (exponent + 112) << 23;
    return Float.intBitsToFloat(sign | bits | (fraction << 13));
  }
}
