package io.github.kklip.image;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.FloatBuffer;
import java.util.Base64;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriter;
import javax.imageio.stream.MemoryCacheImageOutputStream;

/** Small pictures that stand in the text of a page. */
public final class Thumbnail {
  private static final float[][] LEVELS = levels();

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
    BufferedImage small = fit(image, side);
    ImageWriter writer = ImageIO.getImageWritersByFormatName("jpeg").next();
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (MemoryCacheImageOutputStream out = new MemoryCacheImageOutputStream(bytes)) {
      writer.setOutput(out);
      writer.write(small);
    } catch (IOException impossible) {
      throw new UncheckedIOException(impossible);
    } finally {
      writer.dispose();
    }
    return "data:image/jpeg;base64," + Base64.getEncoder().encodeToString(bytes.toByteArray());
  }

  private static BufferedImage fit(RgbImage image, int side) {
    double scale = Math.min(1, (double) side / Math.max(image.width(), image.height()));
    int width = Math.max(1, (int) Math.round(image.width() * scale));
    int height = Math.max(1, (int) Math.round(image.height() * scale));
    int pixels = width * height;
    FloatBuffer planes = FloatBuffer.allocate(3 * pixels);
    CropBox all = CropBox.whole(image.width(), image.height());
    new Bicubic()
        .resize(image, all, width, height, CropBox.whole(width, height), LEVELS, planes, 0);
    BufferedImage small = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    for (int i = 0; i < pixels; i++) {
      int red = (int) planes.get(i);
      int green = (int) planes.get(pixels + i);
      int blue = (int) planes.get(2 * pixels + i);
      small.setRGB(i % width, i / width, red << 16 | green << 8 | blue);
    }
    return small;
  }

  private static float[][] levels() {
    float[] same = new float[256];
    for (int level = 0; level < same.length; level++) {
      same[level] = level;
    }
    return new float[][] {same, same, same};
  }
}
