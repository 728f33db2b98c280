package io.github.kklip.image;

import io.github.kklip.config.SplitMix64;

/**
 * Random resized crop, as torchvision's {@code RandomResizedCrop} draws it and as open_clip trains
 * with it: a box of {@code minScale} to 1 of the image's area with a ratio of width to height in
 * [3/4, 4/3], uniform in its logarithm, anywhere in the image. {@link Preprocess#apply(RgbImage,
 * CropBox, java.nio.FloatBuffer, int)} then resizes the box.
 *
 * @param minScale smallest share of the image's area, over 0 and at most 1
 */
public record Augment(double minScale) {
  private static final int TRIES = 10;
  private static final double MIN_RATIO = 3 / 4.0;
  private static final double MAX_RATIO = 4 / 3.0;

  public Augment {
    if (!(minScale > 0 && minScale <= 1)) {
      throw new IllegalArgumentException(
          "Cannot crop to a share of %s of the image. Give a number over 0 and at most 1."
              .formatted(minScale));
    }
  }

  /**
   * The box for one view of one image.
   *
   * @param seed derived from the run's seed, the epoch and the sample, so that the box depends on
   *     nothing else: not on ranks, threads or order
   */
  public CropBox box(int width, int height, long seed) {
    SplitMix64 random = new SplitMix64(seed);
    double area = (double) width * height;
    for (int i = 0; i < TRIES; i++) {
      double target = area * uniform(random, minScale, 1);
      double ratio = Math.exp(uniform(random, Math.log(MIN_RATIO), Math.log(MAX_RATIO)));
      int boxWidth = (int) Math.rint(Math.sqrt(target * ratio));
      int boxHeight = (int) Math.rint(Math.sqrt(target / ratio));
      if (boxWidth > 0 && boxWidth <= width && boxHeight > 0 && boxHeight <= height) {
        int top = random.nextInt(height - boxHeight + 1);
        int left = random.nextInt(width - boxWidth + 1);
        return new CropBox(left, top, boxWidth, boxHeight);
      }
    }
    return centre(width, height);
  }

  /** The largest box in the middle with a ratio in the range: for images that are too narrow. */
  static CropBox centre(int width, int height) {
    double ratio = (double) width / height;
    int boxWidth = width;
    int boxHeight = height;
    if (ratio < MIN_RATIO) {
      boxHeight = (int) Math.rint(width / MIN_RATIO);
    } else if (ratio > MAX_RATIO) {
      boxWidth = (int) Math.rint(height * MAX_RATIO);
    }
    return new CropBox((width - boxWidth) / 2, (height - boxHeight) / 2, boxWidth, boxHeight);
  }

  private static double uniform(SplitMix64 random, double from, double to) {
    return from + (to - from) * random.nextDouble();
  }
}
