package io.github.kklip.image;

/**
 * Weights of one axis of an antialiased resize, in fixed point, exactly as Pillow makes them.
 *
 * <p>Output sample i lies at input position c = (i + 1/2) s, s = input / output length. With f =
 * max(s, 1) and a filter h of support r, the input samples j in [⌊c - r f + 1/2⌋, ⌊c + r f + 1/2⌋)
 * have the weights h((j - c + 1/2) / f), normalised to 1 in double precision and rounded to
 * multiples of 2^-22.
 *
 * @param first first input sample of each output sample
 * @param count number of input samples of each output sample
 * @param stride weights stored for each output sample: a multiple of 4, at least its count
 * @param weights of output sample i from {@code i * stride}; those beyond its count are 0
 */
record Taps(int[] first, int[] count, int stride, int[] weights) {
  /** An 8-bit value times a weight, and the sum of a few, stay within 32 bits. */
  static final int BITS = 22;

  static final int HALF = 1 << (BITS - 1);

  /** For the outputs {@code [from, from + length)} of a resize of {@code input} samples. */
  static Taps of(ResizeFilter filter, int input, int output, int from, int length) {
    double scale = (double) input / output;
    double filterScale = Math.max(scale, 1);
    double support = filter.support() * filterScale;
    int most = Math.min(input, (int) Math.ceil(support) * 2 + 1);
    int stride = (most + 3) / 4 * 4;
    int[] first = new int[length];
    int[] count = new int[length];
    int[] weights = new int[Math.multiplyExact(length, stride)];
    double[] exact = new double[most];
    for (int i = 0; i < length; i++) {
      double centre = (from + i + 0.5) * scale;
      first[i] = Math.max(0, (int) (centre - support + 0.5));
      count[i] = Math.min(input, (int) (centre + support + 0.5)) - first[i];
      double sum = 0;
      for (int j = 0; j < count[i]; j++) {
        exact[j] = filter.weight((j + first[i] - centre + 0.5) * (1 / filterScale));
        sum += exact[j];
      }
      for (int j = 0; j < count[i]; j++) {
        double weight = sum == 0 ? exact[j] : exact[j] / sum;
        weights[i * stride + j] = (int) (weight * (1 << BITS) + (weight < 0 ? -0.5 : 0.5));
      }
    }
    return new Taps(first, count, stride, weights);
  }

  int last(int i) {
    return first[i] + count[i];
  }

  /** Input samples from the first of the first output to the last of the last. */
  int samples() {
    return last(first.length - 1) - first[0];
  }
}
