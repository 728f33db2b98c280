package io.github.kklip.eval;

import io.github.kklip.image.ImageDecoder;
import io.github.kklip.image.ImageRejectedException;
import io.github.kklip.image.RgbImage;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Base64;
import javax.imageio.ImageIO;

/** Small pictures inside a page. */
final class Thumbnail {
  private static final int SIDE = 128;

  private Thumbnail() {}

  /** The centre square of a picture as a {@code data:} URI; empty if it cannot be decoded. */
  static String dataUri(byte[] stored) throws IOException {
    try {
      ByteArrayOutputStream jpeg = new ByteArrayOutputStream();
      ImageIO.write(square(ImageDecoder.decode(stored)), "jpeg", jpeg);
      return "data:image/jpeg;base64," + Base64.getEncoder().encodeToString(jpeg.toByteArray());
    } catch (ImageRejectedException e) {
      return "";
    }
  }

  /** Each pixel is the mean of the box that it covers. */
  private static BufferedImage square(RgbImage image) {
    int crop = Math.min(image.width(), image.height());
    int side = Math.min(SIDE, crop);
    int left = (image.width() - crop) / 2;
    int top = (image.height() - crop) / 2;
    BufferedImage small = new BufferedImage(side, side, BufferedImage.TYPE_INT_RGB);
    for (int y = 0; y < side; y++) {
      for (int x = 0; x < side; x++) {
        int x0 = left + x * crop / side;
        int x1 = left + (x + 1) * crop / side;
        int y0 = top + y * crop / side;
        int y1 = top + (y + 1) * crop / side;
        small.setRGB(x, y, mean(image, x0, x1, y0, y1));
      }
    }
    return small;
  }

  private static int mean(RgbImage image, int x0, int x1, int y0, int y1) {
    int[] sums = new int[3];
    for (int y = y0; y < y1; y++) {
      for (int x = x0; x < x1; x++) {
        for (int c = 0; c < 3; c++) {
          sums[c] += image.rgb()[3 * (y * image.width() + x) + c] & 0xff;
        }
      }
    }
    int area = (x1 - x0) * (y1 - y0);
    return ((sums[0] / area) << 16) | ((sums[1] / area) << 8) | (sums[2] / area);
  }
}
