package io.github.kklip.image;

/**
 * What the head of an image file says, read without decoding it.
 *
 * @param width of the upright image: what {@link ImageDecoder#decode} gives
 * @param height of the upright image
 * @param orientation EXIF orientation, 1 to 8; 1 when the file has none: then it is stored upright
 */
public record ImageHeader(ImageFormat format, int width, int height, int orientation) {
  public long pixels() {
    return (long) width * height;
  }
}
