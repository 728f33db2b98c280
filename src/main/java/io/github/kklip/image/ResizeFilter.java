package io.github.kklip.image;

import java.util.Arrays;
import java.util.Optional;

/** The filters of Pillow that antialias, under Pillow's names and numbers. */
public enum ResizeFilter {
  LANCZOS(1, 3),
  BILINEAR(2, 1),
  /** The cubic convolution kernel with a = -1/2 (Keys, 1981). */
  BICUBIC(3, 2),
  BOX(4, 0.5),
  HAMMING(5, 1);

  private final int number;
  private final double support;

  ResizeFilter(int number, double support) {
    this.number = number;
    this.support = support;
  }

  /** The filter of a Pillow number; empty for 0, nearest neighbour, and for what Pillow lacks. */
  static Optional<ResizeFilter> of(int number) {
    return Arrays.stream(values()).filter(filter -> filter.number == number).findFirst();
  }

  /** Pillow's number. */
  int number() {
    return number;
  }

  /** How far the filter reaches to each side, in samples of the coarser of the two images. */
  double support() {
    return support;
  }

  /** The weight of a sample at a distance, not normalised. */
  double weight(double distance) {
    double t = Math.abs(distance);
    return switch (this) {
      // Half open, as in Pillow: each sample falls into one box.
      case BOX -> distance > -0.5 && distance <= 0.5 ? 1 : 0;
      case BILINEAR -> t < 1 ? 1 - t : 0;
      case HAMMING -> t < 1 ? sinc(t) * (0.54 + 0.46 * Math.cos(t * Math.PI)) : 0;
      case BICUBIC -> {
        if (t < 1) {
          yield (1.5 * t - 2.5) * t * t + 1;
        }
        yield t < 2 ? (((t - 5) * t + 8) * t - 4) * -0.5 : 0;
      }
      case LANCZOS -> distance >= -3 && distance < 3 ? sinc(distance) * sinc(distance / 3) : 0;
    };
  }

  private static double sinc(double x) {
    return x == 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
  }
}
