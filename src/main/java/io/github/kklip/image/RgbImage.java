package io.github.kklip.image;

/**
 * An upright, opaque 8-bit sRGB image.
 *
 * @param rgb {@code height} rows of {@code width} pixels of three bytes R, G, B, without padding;
 *     not copied, so whoever hands it over does not write to it any more
 */
public record RgbImage(int width, int height, byte[] rgb) {
  public RgbImage {
    if (width < 1 || height < 1 || rgb.length != 3L * width * height) {
      throw new IllegalArgumentException(
          "Cannot make an image of %d x %d pixels because 3 bytes for each are needed: %d."
              .formatted(width, height, rgb.length));
    }
  }
}
