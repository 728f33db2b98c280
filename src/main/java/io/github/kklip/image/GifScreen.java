package io.github.kklip.image;

import static io.github.kklip.image.ImageRejectedException.TRUNCATED;
import static io.github.kklip.image.ImageRejectedException.UNDECODABLE;

import java.util.Arrays;

/**
 * A GIF's logical screen and where its first frame lies on it. The reader gives the frame alone;
 * what it leaves of the screen uncovered is transparent, so white.
 */
record GifScreen(int width, int height, int left, int top, int frameWidth, int frameHeight) {
  private static final int EXTENSION = 0x21;
  private static final int IMAGE = 0x2c;

  static GifScreen parse(byte[] bytes) throws ImageRejectedException {
    try {
      int width = unsignedShort(bytes, 6);
      int height = unsignedShort(bytes, 8);
      int at = 13 + colourTable(bytes[10]);
      while (bytes[at] == EXTENSION) {
        at += 2;
        while (bytes[at] != 0) {
          at += 1 + (bytes[at] & 0xff);
        }
        at++;
      }
      if (bytes[at] != IMAGE) {
        throw new ImageRejectedException(UNDECODABLE, "the GIF file has no frame");
      }
      int left = unsignedShort(bytes, at + 1);
      int top = unsignedShort(bytes, at + 3);
      int frameWidth = unsignedShort(bytes, at + 5);
      int frameHeight = unsignedShort(bytes, at + 7);
      if (frameWidth == 0 || frameHeight == 0) {
        throw new ImageRejectedException(
            UNDECODABLE, "the GIF's frame has %d x %d pixels".formatted(frameWidth, frameHeight));
      }
      // Some writers leave the screen smaller than the frame, or zero; viewers then enlarge it.
      return new GifScreen(
          Math.max(width, left + frameWidth),
          Math.max(height, top + frameHeight),
          left,
          top,
          frameWidth,
          frameHeight);
    } catch (ArrayIndexOutOfBoundsException end) {
      throw new ImageRejectedException(TRUNCATED, "the GIF data end before the first frame", end);
    }
  }

  RgbImage place(RgbImage frame) throws ImageRejectedException {
    if (frame.width() == width && frame.height() == height) {
      return frame;
    }
    byte[] screen = new byte[3 * width * height];
    Arrays.fill(screen, (byte) 255);
    for (int y = 0; y < frame.height(); y++) {
      System.arraycopy(
          frame.rgb(),
          3 * frame.width() * y,
          screen,
          3 * (width * (top + y) + left),
          3 * frame.width());
    }
    return new RgbImage(width, height, screen);
  }

  private static int colourTable(byte flags) {
    return (flags & 0x80) == 0 ? 0 : 3 << ((flags & 7) + 1);
  }

  private static int unsignedShort(byte[] bytes, int at) {
    return (bytes[at] & 0xff) | (bytes[at + 1] & 0xff) << 8;
  }
}
