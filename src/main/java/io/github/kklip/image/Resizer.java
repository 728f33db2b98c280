package io.github.kklip.image;

import java.nio.FloatBuffer;
import java.util.Arrays;

/**
 * Antialiased resize of a box of an image to a window of the result, straight to normalised floats;
 * bit for bit what Pillow's two 8-bit passes give.
 *
 * <p>Only the columns and rows of the window are computed. Both passes are one operation, a
 * weighted sum of lines of {@code int} (columns of a block of image rows, then rows), in plain
 * loops that the compiler vectorises; so a block of rows is laid out by columns before the
 * horizontal pass. Its results stay in a ring of rows, just long enough for the vertical pass: the
 * memory at work does not grow with the image's height.
 *
 * <p>Instances keep scratch memory: one for each thread.
 */
final class Resizer {
  /** Image rows that the horizontal pass takes at once: long loops, and still in the cache. */
  private static final int BLOCK_ROWS = 64;

  private final ResizeFilter filter;
  private int[][] block = new int[0][];
  private int[][] ring = new int[0][];
  private int[] sums = new int[0];
  private float[] line = new float[0];

  Resizer(ResizeFilter filter) {
    this.filter = filter;
  }

  /**
   * Writes three floats for each pixel of the window from {@code at}: planes R, G, B of rows.
   *
   * @param box part of the image that is resized; pixels outside it have no influence
   * @param width of the whole result
   * @param height of the whole result
   * @param window part of the result that is made
   * @param values float of each of 256 levels, for each of three channels
   */
  void resize(
      RgbImage image,
      CropBox box,
      int width,
      int height,
      CropBox window,
      float[][] values,
      FloatBuffer out,
      int at) {
    Taps across = Taps.of(filter, box.width(), width, window.left(), window.width());
    Taps down = Taps.of(filter, box.height(), height, window.top(), window.height());
    int columns = window.width();
    int ringRows = down.stride() + BLOCK_ROWS;
    prepare(across, columns, ringRows);
    int end = down.last(window.height() - 1);
    int done = down.first()[0];
    for (int y = 0; y < window.height(); y++) {
      while (done < down.last(y)) {
        int rows = Math.min(BLOCK_ROWS, end - done);
        unpack(image, box, done, rows, across);
        horizontal(across, done, rows);
        done += rows;
      }
      weightedSum(down, y, down.first()[y], ring, 3 * columns);
      for (int c = 0; c < 3; c++) {
        float[] value = values[c];
        for (int x = 0; x < columns; x++) {
          line[x] = value[sums[c * columns + x]];
        }
        out.put(at + (c * window.height() + y) * columns, line, 0, columns);
      }
    }
  }

  private void prepare(Taps across, int columns, int ringRows) {
    block = atLeast(block, across.samples(), 3 * BLOCK_ROWS);
    ring = atLeast(ring, ringRows, 3 * columns);
    sums = sums.length < 3 * columns ? new int[3 * Math.max(columns, BLOCK_ROWS)] : sums;
    line = line.length < columns ? new float[columns] : line;
  }

  private static int[][] atLeast(int[][] lines, int count, int length) {
    return lines.length < count || lines[0].length < length ? new int[count][length] : lines;
  }

  /** Rows of interleaved bytes to columns of three channels of {@code rows} samples. */
  private void unpack(RgbImage image, CropBox box, int top, int rows, Taps across) {
    byte[] rgb = image.rgb();
    int step = 3 * image.width();
    int start = (box.top() + top) * step + 3 * (box.left() + across.first()[0]);
    int samples = across.samples();
    for (int x = 0; x < samples; x++) {
      int[] column = block[x];
      for (int row = 0, from = start + 3 * x; row < rows; row++, from += step) {
        column[row] = rgb[from] & 0xff;
        column[rows + row] = rgb[from + 1] & 0xff;
        column[2 * rows + row] = rgb[from + 2] & 0xff;
      }
    }
  }

  /** The unpacked block to rows of three planes in the ring. */
  private void horizontal(Taps across, int top, int rows) {
    int columns = across.first().length;
    int[][] to = new int[rows][];
    Arrays.setAll(to, row -> ring[(top + row) % ring.length]);
    for (int x = 0; x < columns; x++) {
      weightedSum(across, x, across.first()[x] - across.first()[0], block, 3 * rows);
      for (int row = 0; row < rows; row++) {
        to[row][x] = sums[row];
        to[row][columns + x] = sums[rows + row];
        to[row][2 * columns + x] = sums[2 * rows + row];
      }
    }
  }

  /**
   * The levels of output i: the weighted sum of its lines of samples, rounded to 0 to 255.
   *
   * @param first line of the first tap; line n is {@code lines[n % lines.length]}
   */
  private void weightedSum(Taps taps, int i, int first, int[][] lines, int length) {
    int[] weights = taps.weights();
    int at = i * taps.stride();
    int last = first + taps.count()[i] - 1;
    Arrays.fill(sums, 0, length, Taps.HALF);
    for (int n = first; n <= last; n += 4, at += 4) {
      // Weights beyond the last tap are 0, whatever line they meet.
      addFour(
          sums,
          lines[n % lines.length],
          lines[Math.min(n + 1, last) % lines.length],
          lines[Math.min(n + 2, last) % lines.length],
          lines[Math.min(n + 3, last) % lines.length],
          weights[at],
          weights[at + 1],
          weights[at + 2],
          weights[at + 3],
          length);
    }
    round(sums, length);
  }

  private static void addFour(
      int[] sums,
      int[] a,
      int[] b,
      int[] c,
      int[] d,
      int weightA,
      int weightB,
      int weightC,
      int weightD,
      int length) {
    for (int i = 0; i < length; i++) {
      sums[i] += weightA * a[i] + weightB * b[i] + weightC * c[i] + weightD * d[i];
    }
  }

  private static void round(int[] sums, int length) {
    for (int i = 0; i < length; i++) {
      sums[i] = Math.max(0, Math.min(255, sums[i] >> Taps.BITS));
    }
  }
}
