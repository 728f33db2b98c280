package io.github.kklip.image;

import static io.github.kklip.config.Message.message;

import com.luciad.imageio.webp.WebPImageWriterSpi;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.FloatBuffer;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.stream.MemoryCacheImageOutputStream;

/** Images made smaller, as images. */
public final class Resample {
  private static final float[][] LEVELS = levels();

  private Resample() {}

  /** The image in another size, by antialiased bicubic interpolation as Pillow has it. */
  public static RgbImage to(RgbImage image, int width, int height) {
    int pixels = width * height;
    FloatBuffer planes = FloatBuffer.allocate(3 * pixels);
    new Resizer(ResizeFilter.BICUBIC)
        .resize(
            image,
            CropBox.whole(image.width(), image.height()),
            width,
            height,
            CropBox.whole(width, height),
            LEVELS,
            planes,
            0);
    byte[] rgb = new byte[3 * pixels];
    for (int i = 0; i < pixels; i++) {
      for (int c = 0; c < 3; c++) {
        rgb[3 * i + c] = (byte) planes.get(c * pixels + i);
      }
    }
    return new RgbImage(width, height, rgb);
  }

  /** The image with this shortest side; one that is no larger stays. */
  public static RgbImage shortestSide(RgbImage image, int side) {
    int shorter = Math.min(image.width(), image.height());
    return shorter <= side
        ? image
        : to(
            image,
            Math.toIntExact((long) image.width() * side / shorter),
            Math.toIntExact((long) image.height() * side / shorter));
  }

  /**
   * The bytes of a JPEG file.
   *
   * @param quality from 1 to 100
   */
  public static byte[] jpeg(RgbImage image, int quality) {
    return file(image, ImageIO.getImageWritersByFormatName("jpeg").next(), "JPEG", quality);
  }

  /**
   * The bytes of a lossy WebP file, by libwebp.
   *
   * @param quality from 1 to 100
   * @throws IllegalStateException on a platform that libwebp's binding has no library for
   */
  public static byte[] webp(RgbImage image, int quality) {
    try {
      return file(image, new WebPImageWriterSpi().createWriterInstance(null), "Lossy", quality);
    } catch (IOException | LinkageError e) {
      throw new IllegalStateException(
          message(
              "Cannot write WebP because its native library does not load on this %s machine (%s). Use ingest.reencode-format = jpeg.",
              System.getProperty("os.arch"), e),
          e);
    }
  }

  private static byte[] file(RgbImage image, ImageWriter writer, String type, int quality) {
    BufferedImage buffered =
        new BufferedImage(image.width(), image.height(), BufferedImage.TYPE_INT_RGB);
    byte[] rgb = image.rgb();
    for (int y = 0; y < image.height(); y++) {
      for (int x = 0; x < image.width(); x++) {
        int at = 3 * (y * image.width() + x);
        buffered.setRGB(
            x, y, (rgb[at] & 0xFF) << 16 | (rgb[at + 1] & 0xFF) << 8 | (rgb[at + 2] & 0xFF));
      }
    }
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (MemoryCacheImageOutputStream out = new MemoryCacheImageOutputStream(bytes)) {
      ImageWriteParam parameters = writer.getDefaultWriteParam();
      parameters.setCompressionMode(ImageWriteParam.MODE_EXPLICIT);
      parameters.setCompressionType(type);
      parameters.setCompressionQuality(quality / 100f);
      writer.setOutput(out);
      writer.write(null, new IIOImage(buffered, null, null), parameters);
    } catch (IOException impossible) {
      throw new UncheckedIOException(impossible);
    } finally {
      writer.dispose();
    }
    return bytes.toByteArray();
  }

  /**
   * A perceptual hash of 64 bits, the difference hash: of the image in 9 x 8 grey pixels, whether
   * each is darker than its right neighbour. It hardly changes when an image is resized or
   * compressed again.
   */
  public static long perceptualHash(RgbImage image) {
    byte[] rgb = to(image, 9, 8).rgb();
    long hash = 0;
    for (int y = 0; y < 8; y++) {
      for (int x = 0; x < 8; x++) {
        hash = hash << 1 | (grey(rgb, 9 * y + x) < grey(rgb, 9 * y + x + 1) ? 1 : 0);
      }
    }
    return hash;
  }

  /** ITU-R BT.601's weights, times 1000. */
  private static int grey(byte[] rgb, int pixel) {
    return 299 * (rgb[3 * pixel] & 0xFF)
        + 587 * (rgb[3 * pixel + 1] & 0xFF)
        + 114 * (rgb[3 * pixel + 2] & 0xFF);
  }

  private static float[][] levels() {
    float[] same = new float[256];
    for (int level = 0; level < same.length; level++) {
      same[level] = level;
    }
    return new float[][] {same, same, same};
  }
}
