package io.github.kklip.image;

/** A part of an image, in pixels from its upper left corner. */
public record CropBox(int left, int top, int width, int height) {
  static CropBox whole(int width, int height) {
    return new CropBox(0, 0, width, height);
  }

  void checkInside(RgbImage image) {
    if (left < 0
        || top < 0
        || width < 1
        || height < 1
        || left > image.width() - width
        || top > image.height() - height) {
      throw new IllegalArgumentException(
          "Cannot crop an image of %d x %d pixels because the box is not inside it: %s."
              .formatted(image.width(), image.height(), this));
    }
  }
}
