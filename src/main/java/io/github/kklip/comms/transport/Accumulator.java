package io.github.kklip.comms.transport;

import io.github.kklip.config.ElementType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Adds one buffer to another. Blocks go through arrays that stay in the first cache, because the
 * compiler turns loops over arrays into vector instructions and loops over buffers not.
 */
public final class Accumulator {
  private static final int BLOCK = 2048;

  private final float[] floatSums = new float[BLOCK];
  private final float[] floatTerms = new float[BLOCK];
  private final double[] doubleSums = new double[BLOCK];
  private final double[] doubleTerms = new double[BLOCK];
  private final short[] shortSums = new short[BLOCK];
  private final short[] shortTerms = new short[BLOCK];

  /** {@code sum += term} over all remaining bytes; positions stay. */
  public void add(ByteBuffer sum, ByteBuffer term, ElementType type) {
    ByteBuffer to = sum.slice().order(ByteOrder.nativeOrder());
    for (int start = 0; start < to.limit(); start += BLOCK * type.bytes()) {
      int bytes = Math.min(BLOCK * type.bytes(), to.limit() - start);
      ByteBuffer block = to.slice(start, bytes).order(ByteOrder.nativeOrder());
      take(type, block, bytes / type.bytes(), false);
      take(
          type,
          term.slice(term.position() + start, bytes).order(ByteOrder.nativeOrder()),
          bytes / type.bytes(),
          true);
      give(type, block);
    }
  }

  /**
   * Sums buffers of equal size, in their order: {@code sum = copy = terms[0] + terms[1] + ...};
   * positions stay. The sum may stand where one of the terms does.
   */
  public void sum(ElementType type, ByteBuffer sum, ByteBuffer copy, ByteBuffer... terms) {
    for (int start = 0; start < sum.remaining(); start += BLOCK * type.bytes()) {
      int bytes = Math.min(BLOCK * type.bytes(), sum.remaining() - start);
      for (int k = 0; k < terms.length; k++) {
        ByteBuffer term =
            terms[k].slice(terms[k].position() + start, bytes).order(ByteOrder.nativeOrder());
        take(type, term, bytes / type.bytes(), k > 0);
      }
      give(type, sum.slice(sum.position() + start, bytes).order(ByteOrder.nativeOrder()));
      copy.put(copy.position() + start, sum, sum.position() + start, bytes);
    }
  }

  /** Adds a block to the sums, or begins them with it. */
  private void take(ElementType type, ByteBuffer block, int n, boolean adds) {
    switch (type) {
      case FLOAT32 -> {
        block.asFloatBuffer().get(0, adds ? floatTerms : floatSums, 0, n);
        for (int i = 0; adds && i < n; i++) {
          floatSums[i] += floatTerms[i];
        }
      }
      case FLOAT64 -> {
        block.asDoubleBuffer().get(0, adds ? doubleTerms : doubleSums, 0, n);
        for (int i = 0; adds && i < n; i++) {
          doubleSums[i] += doubleTerms[i];
        }
      }
      case BFLOAT16 -> {
        block.asShortBuffer().get(0, adds ? shortTerms : shortSums, 0, n);
        for (int i = 0; adds && i < n; i++) {
          shortSums[i] =
              round(
                  Float.intBitsToFloat(shortSums[i] << 16)
                      + Float.intBitsToFloat(shortTerms[i] << 16));
        }
      }
      default -> throw new IllegalArgumentException("Cannot sum " + type + ".");
    }
  }

  private void give(ElementType type, ByteBuffer block) {
    int n = block.remaining() / type.bytes();
    switch (type) {
      case FLOAT32 -> block.asFloatBuffer().put(0, floatSums, 0, n);
      case FLOAT64 -> block.asDoubleBuffer().put(0, doubleSums, 0, n);
      case BFLOAT16 -> block.asShortBuffer().put(0, shortSums, 0, n);
      default -> throw new IllegalArgumentException("Cannot sum " + type + ".");
    }
  }

  /** Without branches, so that the loop becomes vector instructions; NaN stays NaN. */
  public static short round(float value) {
    int bits = Float.floatToRawIntBits(value);
    int rounded = (bits + 0x7fff + (bits >>> 16 & 1)) >>> 16;
    return (short) (Float.isNaN(value) ? bits >>> 16 | 0x40 : rounded);
  }
}
