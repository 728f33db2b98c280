package io.github.kklip.kmeans;

import static io.github.kklip.config.Message.message;

import java.io.Serializable;

/**
 * Rounding that makes a sum over rows independent of its order.
 *
 * <p>Floating-point addition is not associative, so the sum of rows that are spread over tasks
 * would depend on how many tasks there are. A value that is first rounded to a multiple of a step
 * q, chosen so that the largest possible sum is at most 2<sup>51</sup> q, is added without any
 * rounding: every partial sum is a multiple of q that a double holds exactly. Sums then are bitwise
 * equal for every partitioning and every shape of the reduction. For a million rows q is
 * 2<sup>-30</sup> of the largest value, below what a float32 coordinate carries.
 *
 * @param shift 3 &middot; 2<sup>51</sup> q: adding it and taking it away again rounds to a multiple
 *     of q
 */
public record Grid(double shift) implements Serializable {

  /** The grid for {@code count} values of an absolute value of at most {@code bound}. */
  public static Grid of(long count, double bound) {
    if (!(bound >= 0) || Double.isInfinite(bound)) {
      throw new IllegalArgumentException(
          message("Cannot sum values because their bound is not a finite number: %s.", bound));
    }
    double largest = Math.max(count * bound, Double.MIN_NORMAL * 0x1p60);
    // 2^51 q is the power of two over the largest sum.
    return new Grid(3 * Math.scalb(1.0, Math.getExponent(largest) + 1));
  }

  public double round(double value) {
    return (value + shift) - shift;
  }
}
