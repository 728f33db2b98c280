package io.github.kklip.image;

import java.util.Base64;

/** Small pictures that stand in the text of a page. */
public final class Thumbnail {
  private static final int QUALITY = 75;

  private Thumbnail() {}

  /** {@link #dataUri(RgbImage, int)} of a stored image; empty if it cannot be decoded. */
  public static String dataUri(byte[] stored, int side) {
    try {
      return dataUri(ImageDecoder.decode(stored), side);
    } catch (ImageRejectedException notShown) {
      return "";
    }
  }

  /**
   * A JPEG of the image as a {@code data:} address, for the {@code src} of an {@code img}.
   *
   * @param side longest side in pixels; smaller images keep their size
   */
  public static String dataUri(RgbImage image, int side) {
    double scale = Math.min(1, (double) side / Math.max(image.width(), image.height()));
    RgbImage small =
        Resample.to(
            image,
            Math.max(1, (int) Math.round(image.width() * scale)),
            Math.max(1, (int) Math.round(image.height() * scale)));
    return "data:image/jpeg;base64,"
        + Base64.getEncoder().encodeToString(Resample.jpeg(small, QUALITY));
  }
}
