package io.github.kklip.image;

import java.nio.FloatBuffer;
import java.util.Arrays;

/**
 * Antialiased bicubic resize of a box of an image to a window of the result, straight to normalised
 * floats; bit for bit what Pillow's two 8-bit passes give.
 *
 * <p>Only the columns and rows of the window are computed. Rows pass through a ring just long
 * enough for the vertical filter, so that the memory at work is a few rows whatever the image's
 * size.
 *
 * <p>The horizontal pass handles two image rows at a time, six samples, in three 64-bit
 * accumulators: two 32-bit sums side by side, of which the lower one's sign is taken out of the
 * upper one at the end. That halves the multiplications, and needs nothing of the compiler. The
 * vertical pass is plain loops over {@code int[]}, which the compiler vectorises.
 *
 * <p>Instances keep scratch memory: one for each thread.
 */
final class Bicubic {
  private static final long TWO_HALVES = Taps.HALF | (long) Taps.HALF << 32;

  private long[] pair = new long[0];
  private int[][] ring = new int[0][];
  private int[] sums = new int[0];
  private float[] line = new float[0];

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
    Taps across = Taps.of(box.width(), width, window.left(), window.width());
    Taps down = Taps.of(box.height(), height, window.top(), window.height());
    int columns = window.width();
    prepare(across, down, columns);
    int done = down.first()[0];
    for (int y = 0; y < window.height(); y++) {
      for (; done < down.last(y); done += 2) {
        // The last row of an odd number of rows is its own partner.
        int partner = Math.min(done + 1, box.height() - 1);
        unpack(image, box, done, partner, across.first()[0], across.last(columns - 1));
        horizontal(across, ring[done % ring.length], ring[(done + 1) % ring.length]);
      }
      vertical(down, y);
      for (int c = 0; c < 3; c++) {
        normalise(values[c], c * columns);
        out.put(at + (c * window.height() + y) * columns, line, 0, columns);
      }
    }
  }

  private void prepare(Taps across, Taps down, int columns) {
    int samples = 3 * (across.last(columns - 1) - across.first()[0]);
    if (pair.length < samples) {
      pair = new long[samples];
    }
    if (ring.length < down.stride() + 2 || line.length != columns) {
      ring = new int[down.stride() + 2][3 * columns];
      sums = new int[3 * columns];
      line = new float[columns];
    }
  }

  /** Samples r g b of columns [from, to) of rows a and b, as (r, g), (b, r'), (g', b'). */
  private void unpack(RgbImage image, CropBox box, int a, int b, int from, int to) {
    byte[] rgb = image.rgb();
    long[] packed = pair;
    int upper = 3 * ((box.top() + a) * image.width() + box.left() + from);
    int lower = 3 * ((box.top() + b) * image.width() + box.left() + from);
    for (int i = 0; i < 3 * (to - from); i += 3) {
      packed[i] = (rgb[upper + i] & 0xff) | (rgb[upper + i + 1] & 0xffL) << 32;
      packed[i + 1] = (rgb[upper + i + 2] & 0xff) | (rgb[lower + i] & 0xffL) << 32;
      packed[i + 2] = (rgb[lower + i + 1] & 0xff) | (rgb[lower + i + 2] & 0xffL) << 32;
    }
  }

  /** The two unpacked rows to two rows of planes r g b, rounded to 0 to 255. */
  private void horizontal(Taps across, int[] upper, int[] lower) {
    long[] samples = pair;
    int[] weights = across.weights();
    int[] first = across.first();
    int[] count = across.count();
    int columns = first.length;
    for (int x = 0; x < columns; x++) {
      long rg = TWO_HALVES;
      long br = TWO_HALVES;
      long gb = TWO_HALVES;
      int w = x * across.stride();
      int end = w + count[x];
      for (int i = 3 * (first[x] - first[0]); w < end; w++, i += 3) {
        long weight = weights[w];
        rg += weight * samples[i];
        br += weight * samples[i + 1];
        gb += weight * samples[i + 2];
      }
      upper[x] = level((int) rg);
      upper[columns + x] = level(high(rg));
      upper[2 * columns + x] = level((int) br);
      lower[x] = level(high(br));
      lower[columns + x] = level((int) gb);
      lower[2 * columns + x] = level(high(gb));
    }
  }

  private void vertical(Taps down, int y) {
    int[] weights = down.weights();
    int at = y * down.stride();
    int row = down.first()[y];
    int count = down.count()[y];
    Arrays.fill(sums, Taps.HALF);
    int k = 0;
    for (; k + 4 <= count; k += 4) {
      add4(
          sums,
          ring[(row + k) % ring.length],
          ring[(row + k + 1) % ring.length],
          ring[(row + k + 2) % ring.length],
          ring[(row + k + 3) % ring.length],
          weights[at + k],
          weights[at + k + 1],
          weights[at + k + 2],
          weights[at + k + 3]);
    }
    for (; k < count; k++) {
      add(sums, ring[(row + k) % ring.length], weights[at + k]);
    }
  }

  private static void add4(
      int[] sums, int[] a, int[] b, int[] c, int[] d, int wa, int wb, int wc, int wd) {
    for (int i = 0; i < sums.length; i++) {
      sums[i] += wa * a[i] + wb * b[i] + wc * c[i] + wd * d[i];
    }
  }

  private static void add(int[] sums, int[] row, int weight) {
    for (int i = 0; i < sums.length; i++) {
      sums[i] += weight * row[i];
    }
  }

  private void normalise(float[] value, int from) {
    for (int x = 0; x < line.length; x++) {
      line[x] = value[level(sums[from + x])];
    }
  }

  /** The upper sum of two: a negative lower one has borrowed from it. */
  private static int high(long sums) {
    return (int) ((sums - (int) sums) >> 32);
  }

  private static int level(int sum) {
    return Math.max(0, Math.min(255, sum >> Taps.BITS));
  }
}
