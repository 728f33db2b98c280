package io.github.kklip.concept;

import static io.github.kklip.config.Message.message;

import java.util.function.UnaryOperator;

/**
 * The temperature &tau; of the soft labels s = softmax(-||t - c<sub>k</sub>||&sup2; / &tau;) at
 * which their perplexity exp(mean entropy) has a wanted value.
 *
 * <p>The entropy of a softmax grows with its temperature, so the answer is bracketed. As each look
 * at the perplexity is a pass over all rows, one pass tries {@value #TRIES} temperatures, evenly
 * spaced in the logarithm, and the bracket shrinks {@value #TRIES}-fold and more instead of by
 * half.
 */
final class Temperature {
  static final int TRIES = 16;

  /** Relative difference of perplexities that is good enough. */
  static final double TOLERANCE = 1e-3;

  /** The bracket reaches this factor below and above the rows' mean squared distance. */
  private static final double RANGE = 1e6;

  private static final int PASSES = 8;

  private Temperature() {}

  /** A temperature and the perplexity that it gives. */
  record FoundTemperature(double temperature, double perplexity) {}

  /**
   * @param target the perplexity to reach, over 1 and under the number of concepts
   * @param scale mean squared distance of a row to its centre: where to look
   * @param perplexities the perplexity at each of some temperatures
   * @throws IllegalArgumentException if no temperature in reach gives the target
   */
  static FoundTemperature reaching(
      double target, double scale, UnaryOperator<double[]> perplexities) {
    double middle = scale > 0 ? scale : 1;
    double low = Math.log(middle / RANGE);
    double high = Math.log(middle * RANGE);
    FoundTemperature nearest = null;
    for (int pass = 0; pass < PASSES; pass++) {
      double[] tries = new double[TRIES];
      for (int i = 0; i < TRIES; i++) {
        tries[i] = Math.exp(low + (high - low) * i / (TRIES - 1));
      }
      double[] reached = perplexities.apply(tries);
      if (pass == 0) {
        refuseUnreachable(target, reached);
      }
      int above = 1;
      while (above < TRIES - 1 && reached[above] < target) {
        above++;
      }
      for (int i = above - 1; i <= above; i++) {
        if (nearest == null
            || Math.abs(reached[i] - target) < Math.abs(nearest.perplexity - target)) {
          nearest = new FoundTemperature(tries[i], reached[i]);
        }
      }
      if (Math.abs(nearest.perplexity - target) <= TOLERANCE * target) {
        return nearest;
      }
      low = Math.log(tries[above - 1]);
      high = Math.log(tries[above]);
    }
    throw new IllegalArgumentException(
        message(
            "Cannot find the temperature of perplexity %s because the perplexity jumps over it, to %s: many embeddings are equally far from several centres. Set concepts.target-perplexity to that value, or concepts.temperature to a number.",
            target, nearest.perplexity));
  }

  private static void refuseUnreachable(double target, double[] reached) {
    double least = reached[0];
    double most = reached[TRIES - 1];
    if (target < least * (1 - TOLERANCE) || target > most * (1 + TOLERANCE)) {
      throw new IllegalArgumentException(
          message(
              "Cannot find the temperature of perplexity %s because these centres reach only %.4f to %.4f. Set concepts.target-perplexity between them, or concepts.temperature to a number.",
              target, least, most));
    }
  }
}
