package io.github.kklip.image;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/** The one field of an EXIF block, which is a TIFF file, that changes pixels. */
final class Exif {
  private static final int UPRIGHT = 1;

  private Exif() {}

  /**
   * Orientation that a file says of itself; 1 when it says nothing. JPEG: see {@link JpegStream}.
   */
  static int orientation(ImageFormat format, byte[] bytes) {
    return switch (format) {
      case TIFF -> orientation(bytes, 0, bytes.length);
      case PNG -> chunk(bytes, 8, "eXIf", ByteOrder.BIG_ENDIAN);
      case WEBP -> chunk(bytes, 12, "EXIF", ByteOrder.LITTLE_ENDIAN);
      case JPEG, GIF, BMP -> UPRIGHT;
    };
  }

  /** PNG: length, name, data, checksum. WebP (RIFF): name, length, data, padding to even. */
  private static int chunk(byte[] bytes, int first, String name, ByteOrder order) {
    ByteBuffer file = ByteBuffer.wrap(bytes).order(order);
    boolean png = order == ByteOrder.BIG_ENDIAN;
    long at = first;
    while (at + 8 <= bytes.length) {
      long length = file.getInt((int) at + (png ? 0 : 4)) & 0xffff_ffffL;
      if (ImageFormat.starts(bytes, (int) at + (png ? 4 : 0), name)) {
        return orientation(bytes, (int) at + 8, (int) Math.min(bytes.length, at + 8 + length));
      }
      at += 8 + length + (png ? 4 : length & 1);
    }
    return UPRIGHT;
  }

  /**
   * Orientation in the first directory of {@code bytes[from, to)}; 1 when it is absent or broken,
   * since a picture is not worth less for a bad date beside it.
   */
  static int orientation(byte[] bytes, int from, int to) {
    try {
      if (ImageFormat.starts(bytes, from, "Exif\0\0")) {
        return orientation(bytes, from + 6, to);
      }
      return TiffDirectory.first(Arrays.copyOfRange(bytes, from, to)).orientation();
    } catch (IndexOutOfBoundsException | IllegalArgumentException broken) {
      return UPRIGHT;
    }
  }

  /** Whether the orientation exchanges width and height. */
  static boolean turned(int orientation) {
    return orientation >= 5;
  }

  /**
   * The picture as it is meant to be seen. Stored pixel (x, y) goes to: 2 (w-1-x, y), 3 (w-1-x,
   * h-1-y), 4 (x, h-1-y), 5 (y, x), 6 (h-1-y, x), 7 (h-1-y, w-1-x), 8 (y, w-1-x).
   */
  static RgbImage upright(RgbImage stored, int orientation) {
    if (orientation == UPRIGHT) {
      return stored;
    }
    int w = stored.width();
    int h = stored.height();
    byte[] from = stored.rgb();
    byte[] to = new byte[from.length];
    boolean turned = turned(orientation);
    int width = turned ? h : w;
    int height = turned ? w : h;
    boolean mirrorX = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    boolean mirrorY = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    int at = 0;
    for (int y = 0; y < h; y++) {
      int seenY = mirrorY ? h - 1 - y : y;
      for (int x = 0; x < w; x++, at += 3) {
        int seenX = mirrorX ? w - 1 - x : x;
        int pixel = 3 * (turned ? seenX * width + seenY : seenY * width + seenX);
        to[pixel] = from[at];
        to[pixel + 1] = from[at + 1];
        to[pixel + 2] = from[at + 2];
      }
    }
    return new RgbImage(width, height, to);
  }
}
