package io.github.kklip.comms;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;

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

  /** {@code sums += terms} over all remaining bytes; positions stay. */
  void add(ByteBuffer sums, ByteBuffer terms, ElementType type) {
    ByteBuffer to = sums.slice().order(ByteOrder.nativeOrder());
    ByteBuffer from = terms.slice().order(ByteOrder.nativeOrder());
    switch (type) {
      case FLOAT32 -> addFloats(to.asFloatBuffer(), from.asFloatBuffer());
      case FLOAT64 -> addDoubles(to.asDoubleBuffer(), from.asDoubleBuffer());
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
}
