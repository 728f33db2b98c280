package io.github.kklip.comms;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import java.nio.ShortBuffer;

/**
 * Adds one buffer to another. Blocks go through arrays that stay in the first cache, because the
 * compiler turns loops over arrays into vector instructions and loops over buffers not.
 */
final class Accumulator {
  private static final int BLOCK = 2048;

  private final float[] floatSums = new float[BLOCK];
  private final float[] floatTerms = new float[BLOCK];
  private final double[] doubleSums = new double[BLOCK];
  private final double[] doubleTerms = new double[BLOCK];
  private final short[] shortSums = new short[BLOCK];
  private final short[] shortTerms = new short[BLOCK];

  /** {@code sums += terms} over all remaining bytes; positions stay. */
  void add(ByteBuffer sums, ByteBuffer terms, ElementType type) {
    ByteBuffer to = sums.slice().order(ByteOrder.nativeOrder());
    ByteBuffer from = terms.slice().order(ByteOrder.nativeOrder());
    switch (type) {
      case FLOAT32 -> addFloats(to.asFloatBuffer(), from.asFloatBuffer());
      case FLOAT64 -> addDoubles(to.asDoubleBuffer(), from.asDoubleBuffer());
      case BFLOAT16 -> addHalves(to.asShortBuffer(), from.asShortBuffer());
      case INT8 -> throw new IllegalArgumentException("Cannot sum INT8.");
    }
  }

  private void addFloats(FloatBuffer sums, FloatBuffer terms) {
    for (int start = 0; start < sums.limit(); start += BLOCK) {
      int n = Math.min(BLOCK, sums.limit() - start);
      sums.get(start, floatSums, 0, n);
      terms.get(start, floatTerms, 0, n);
      for (int i = 0; i < n; i++) {
        floatSums[i] += floatTerms[i];
      }
      sums.put(start, floatSums, 0, n);
    }
  }

  private void addDoubles(DoubleBuffer sums, DoubleBuffer terms) {
    for (int start = 0; start < sums.limit(); start += BLOCK) {
      int n = Math.min(BLOCK, sums.limit() - start);
      sums.get(start, doubleSums, 0, n);
      terms.get(start, doubleTerms, 0, n);
      for (int i = 0; i < n; i++) {
        doubleSums[i] += doubleTerms[i];
      }
      sums.put(start, doubleSums, 0, n);
    }
  }

  private void addHalves(ShortBuffer sums, ShortBuffer terms) {
    for (int start = 0; start < sums.limit(); start += BLOCK) {
      int n = Math.min(BLOCK, sums.limit() - start);
      sums.get(start, shortSums, 0, n);
      terms.get(start, shortTerms, 0, n);
      for (int i = 0; i < n; i++) {
        shortSums[i] =
            round(
                Float.intBitsToFloat(shortSums[i] << 16)
                    + Float.intBitsToFloat(shortTerms[i] << 16));
      }
      sums.put(start, shortSums, 0, n);
    }
  }

  /** Without branches, so that the loop becomes vector instructions; NaN stays NaN. */
  static short round(float value) {
    int bits = Float.floatToRawIntBits(value);
    int rounded = (bits + 0x7fff + (bits >>> 16 & 1)) >>> 16;
    return (short) (Float.isNaN(value) ? bits >>> 16 | 0x40 : rounded);
  }
}
