package io.github.kklip.bench;

import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Random;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.stream.ImageOutputStream;

/** Pictures with about the detail of photographs: 64 JPEG files of 500 x 375 and 375 x 500. */
final class Photographs {
  private static final int[][] SCALES = {{3, 80}, {10, 45}, {30, 25}, {100, 12}, {500, 5}};

  private Photographs() {}

  static void write(Path folder) throws IOException {
    ImageWriter writer = ImageIO.getImageWritersByFormatName("jpeg").next();
    ImageWriteParam quality = writer.getDefaultWriteParam();
    quality.setCompressionMode(ImageWriteParam.MODE_EXPLICIT);
    quality.setCompressionQuality(0.9f);
    Random random = new Random(3);
    for (int number = 0; number < 64; number++) {
      boolean wide = number % 2 == 1;
      BufferedImage image = picture(wide ? 500 : 375, wide ? 375 : 500, random);
      try (ImageOutputStream out =
          ImageIO.createImageOutputStream(folder.resolve("%02d.jpg".formatted(number)).toFile())) {
        writer.setOutput(out);
        writer.write(null, new IIOImage(image, null, null), quality);
      }
    }
    writer.dispose();
  }

  /** Noise of several grains, each drawn large and smooth over the picture. */
  private static BufferedImage picture(int width, int height, Random random) {
    int[] sums = new int[width * height * 3];
    for (int[] scale : SCALES) {
      BufferedImage grain = new BufferedImage(scale[0], scale[0], BufferedImage.TYPE_INT_RGB);
      for (int i = 0; i < scale[0] * scale[0]; i++) {
        grain.setRGB(i % scale[0], i / scale[0], random.nextInt(1 << 24));
      }
      BufferedImage large = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
      Graphics2D canvas = large.createGraphics();
      canvas.setRenderingHint(
          RenderingHints.KEY_INTERPOLATION, RenderingHints.VALUE_INTERPOLATION_BICUBIC);
      canvas.drawImage(grain, 0, 0, width, height, null);
      canvas.dispose();
      int[] rgb = large.getRGB(0, 0, width, height, null, 0, width);
      for (int i = 0; i < rgb.length; i++) {
        for (int c = 0; c < 3; c++) {
          // A level in [0, 255] as a deviation of the scale's contrast.
          sums[3 * i + c] += (((rgb[i] >> 8 * c) & 0xFF) - 128) * scale[1] / 74;
        }
      }
    }
    BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    for (int i = 0; i < width * height; i++) {
      int level = 0;
      for (int c = 0; c < 3; c++) {
        level |= Math.max(0, Math.min(255, 128 + sums[3 * i + c])) << 8 * c;
      }
      image.setRGB(i % width, i / width, level);
    }
    return image;
  }
}
