package io.github.kklip.config;

import static io.github.kklip.config.Message.message;

/**
 * The SplitMix64 generator. Unlike those of the JDK its numbers, those below a bound included, are
 * the same on every version of Java: orders and initial weights outlive an upgrade.
 */
public final class SplitMix64 {
  static final long INCREMENT = 0x9e3779b97f4a7c15L;

  private long state;

  public SplitMix64(long seed) {
    state = seed;
  }

  public long nextLong() {
    state += INCREMENT;
    return mix(state);
  }

  /**
   * Uniform in [0, bound), without bias: the rare numbers of the incomplete last cycle are redrawn.
   */
  public int nextInt(int bound) {
    if (bound <= 0) {
      throw new IllegalArgumentException(
          message("Cannot draw a number below %s: the bound must be over 0.", bound));
    }
    long bits;
    long value;
    do {
      bits = nextLong() >>> 1;
      value = bits % bound;
    } while (bits - value + (bound - 1) < 0);
    return (int) value;
  }

  /** Uniform in [0, 1) with 53 random bits. */
  public double nextDouble() {
    return (nextLong() >>> 11) * 0x1p-53;
  }

  /** Standard normal, by the Box-Muller transform. */
  public double nextGaussian() {
    return Math.sqrt(-2 * Math.log(1 - nextDouble())) * Math.cos(2 * Math.PI * nextDouble());
  }

  /** Fisher-Yates. */
  public void shuffle(int[] values) {
    for (int i = values.length - 1; i > 0; i--) {
      int j = nextInt(i + 1);
      int swapped = values[i];
      values[i] = values[j];
      values[j] = swapped;
    }
  }

  static long mix(long z) {
    z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
    z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
    return z ^ (z >>> 31);
  }
}
