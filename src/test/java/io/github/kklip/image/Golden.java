package io.github.kklip.image;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;

/** Golden tables of src/test/python/image_golden.py, and the images that it makes by formula. */
final class Golden {
  private Golden() {}

  static List<String[]> rows(String name) throws IOException {
    try (InputStream in = Golden.class.getResourceAsStream("/golden/image/" + name)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8)
          .lines()
          .map(line -> line.split("\t", -1))
          .toList();
    }
  }

  static RgbImage pattern(int width, int height) {
    byte[] rgb = new byte[3 * width * height];
    int at = 0;
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        for (int c = 0; c < 3; c++) {
          int n = x * x * 3 + y * y * 5 + x * y * 7 + c * 61 + x * 11 + y * 13;
          boolean hard = (x / 9 + y / 7 + c) % 3 == 0;
          rgb[at++] = (byte) (hard ? 255 * ((x + y) % 2) : (n ^ (n >> 5)) * 37);
        }
      }
    }
    return new RgbImage(width, height, rgb);
  }

  /** SHA-256 of floats as little-endian bytes. */
  static String digest(FloatBuffer floats) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * floats.capacity()).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(floats.duplicate().rewind());
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes.array()));
    } catch (NoSuchAlgorithmException impossible) {
      throw new IllegalStateException("Every Java has SHA-256.", impossible);
    }
  }

  /** Mean R, G, B of each of cells x cells blocks, rows of blocks first. */
  static double[] means(RgbImage image, int cells) {
    double[] means = new double[3 * cells * cells];
    int at = 0;
    for (int i = 0; i < cells; i++) {
      int top = i * image.height() / cells;
      int bottom = Math.max(top + 1, (i + 1) * image.height() / cells);
      for (int j = 0; j < cells; j++, at += 3) {
        int left = j * image.width() / cells;
        int right = Math.max(left + 1, (j + 1) * image.width() / cells);
        for (int y = top; y < bottom; y++) {
          for (int x = left; x < right; x++) {
            for (int c = 0; c < 3; c++) {
              means[at + c] += image.rgb()[3 * (y * image.width() + x) + c] & 0xff;
            }
          }
        }
        for (int c = 0; c < 3; c++) {
          means[at + c] /= (double) (bottom - top) * (right - left);
        }
      }
    }
    return means;
  }

  /** Largest difference between means and the comma-separated column of a table. */
  static double difference(double[] means, String column) {
    String[] expected = column.split(",", -1);
    double largest = 0;
    for (int i = 0; i < means.length; i++) {
      largest = Math.max(largest, Math.abs(means[i] - Double.parseDouble(expected[i])));
    }
    return largest;
  }
}
