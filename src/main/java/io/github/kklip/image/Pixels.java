package io.github.kklip.image;

import java.awt.Transparency;
import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.ColorModel;
import java.awt.image.ComponentColorModel;
import java.awt.image.DataBuffer;
import java.awt.image.IndexColorModel;
import java.awt.image.Raster;

/**
 * Samples of any kind to 8-bit RGB on white.
 *
 * <p>Samples are taken as they are stored: colour profiles are not applied, as in Pillow, whose
 * results the pre-trained models have seen. For the same reason grey does not go through {@code
 * BufferedImage.getRGB}, which takes stored grey for linear light and brightens it.
 */
final class Pixels {
  private Pixels() {}

  /** Y Cb Cr in place to R G B, with the 16-bit fixed-point constants of JFIF's formula. */
  static void yccToRgb(byte[] samples, int stride) {
    for (int i = 0; i < samples.length; i += stride) {
      int y = samples[i] & 0xff;
      int cb = (samples[i + 1] & 0xff) - 128;
      int cr = (samples[i + 2] & 0xff) - 128;
      samples[i] = clamp(y + ((91881 * cr + 32768) >> 16));
      samples[i + 1] = clamp(y + ((-22554 * cb - 46802 * cr + 32768) >> 16));
      samples[i + 2] = clamp(y + ((116130 * cb + 32768) >> 16));
    }
  }

  /** Stored C M Y K, where 255 is no ink, as Adobe writes it and everybody reads it. */
  static byte[] invertedCmykToRgb(byte[] cmyk) {
    byte[] rgb = new byte[cmyk.length / 4 * 3];
    for (int i = 0, o = 0; i + 3 < cmyk.length; i += 4, o += 3) {
      int light = cmyk[i + 3] & 0xff;
      for (int c = 0; c < 3; c++) {
        rgb[o + c] = (byte) (light - product(255 - (cmyk[i + c] & 0xff), light));
      }
    }
    return rgb;
  }

  static byte[] greyToRgb(byte[] grey) {
    byte[] rgb = new byte[3 * grey.length];
    for (int i = 0, o = 0; i < grey.length; i++, o += 3) {
      rgb[o] = grey[i];
      rgb[o + 1] = grey[i];
      rgb[o + 2] = grey[i];
    }
    return rgb;
  }

  static RgbImage onWhite(BufferedImage image) {
    int width = image.getWidth();
    int height = image.getHeight();
    byte[] rgb = new byte[Math.multiplyExact(3, Math.multiplyExact(width, height))];
    ColorModel colours = image.getColorModel();
    if (colours instanceof IndexColorModel palette) {
      palette(image.getRaster(), palette, rgb);
    } else if (isPlain(colours)) {
      components(image.getRaster(), (ComponentColorModel) colours, rgb);
    } else {
      converted(image, rgb);
    }
    return new RgbImage(width, height, rgb);
  }

  private static boolean isPlain(ColorModel colours) {
    int kind = colours.getColorSpace().getType();
    int type = colours.getTransferType();
    return colours instanceof ComponentColorModel
        && (type == DataBuffer.TYPE_BYTE || type == DataBuffer.TYPE_USHORT)
        && (kind == ColorSpace.TYPE_GRAY || kind == ColorSpace.TYPE_RGB || isCmyk(colours));
  }

  private static boolean isCmyk(ColorModel colours) {
    return colours.getColorSpace().getType() == ColorSpace.TYPE_CMYK
        && colours.getNumComponents() == 4;
  }

  private static void palette(Raster raster, IndexColorModel palette, byte[] rgb) {
    int[] argb = new int[Math.max(1 << palette.getPixelSize(), palette.getMapSize())];
    palette.getRGBs(argb);
    int[] row = new int[raster.getWidth()];
    for (int y = 0, o = 0; y < raster.getHeight(); y++) {
      raster.getSamples(raster.getMinX(), raster.getMinY() + y, row.length, 1, 0, row);
      for (int index : row) {
        o = put(rgb, o, argb[index]);
      }
    }
  }

  private static void components(Raster raster, ComponentColorModel colours, byte[] rgb) {
    int bands = raster.getNumBands();
    int width = raster.getWidth();
    int colourBands = colours.getNumColorComponents();
    boolean alpha = colours.hasAlpha() && bands > colourBands;
    boolean opaque = !alpha || colours.getTransparency() == Transparency.OPAQUE;
    boolean cmyk = isCmyk(colours);
    int[] bits = colours.getComponentSize();
    int[] row = new int[bands * width];
    int[] pixel = new int[3];
    for (int y = 0, o = 0; y < raster.getHeight(); y++) {
      raster.getPixels(raster.getMinX(), raster.getMinY() + y, width, 1, row);
      for (int i = 0; i < row.length; i += bands) {
        for (int c = 0; c < 3; c++) {
          int band = Math.min(c, colourBands - 1);
          pixel[c] = toByte(row[i + band], bits[band]);
        }
        if (cmyk) {
          int light = 255 - toByte(row[i + 3], bits[3]);
          for (int c = 0; c < 3; c++) {
            pixel[c] = light - product(pixel[c], light);
          }
        }
        if (!opaque) {
          int a = toByte(row[i + colourBands], bits[colourBands]);
          for (int c = 0; c < 3; c++) {
            pixel[c] =
                colours.isAlphaPremultiplied()
                    ? Math.min(255, pixel[c] + 255 - a)
                    : blend(pixel[c], a);
          }
        }
        rgb[o] = (byte) pixel[0];
        rgb[o + 1] = (byte) pixel[1];
        rgb[o + 2] = (byte) pixel[2];
        o += 3;
      }
    }
  }

  private static void converted(BufferedImage image, byte[] rgb) {
    int[] row = new int[image.getWidth()];
    for (int y = 0, o = 0; y < image.getHeight(); y++) {
      image.getRGB(0, y, row.length, 1, row, 0, row.length);
      for (int argb : row) {
        o = put(rgb, o, argb);
      }
    }
  }

  private static int put(byte[] rgb, int at, int argb) {
    int a = argb >>> 24;
    rgb[at] = (byte) blend(argb >> 16 & 0xff, a);
    rgb[at + 1] = (byte) blend(argb >> 8 & 0xff, a);
    rgb[at + 2] = (byte) blend(argb & 0xff, a);
    return at + 3;
  }

  /** A sample of so many bits as one of eight, its full scale to 255. */
  private static int toByte(int sample, int bits) {
    return switch (bits) {
      case 8 -> sample;
      case 16 -> sample >> 8;
      default -> sample * 255 / ((1 << bits) - 1);
    };
  }

  private static int blend(int colour, int alpha) {
    return alpha == 255 ? colour : product(colour, alpha) + 255 - alpha;
  }

  /** a b / 255, rounded, without a division. */
  private static int product(int a, int b) {
    int t = a * b + 128;
    return ((t >> 8) + t) >> 8;
  }

  private static byte clamp(int v) {
    return (byte) ((v & ~255) == 0 ? v : ~v >> 31);
  }
}
