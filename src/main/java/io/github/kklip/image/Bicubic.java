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
  private long[] pair = new long[0];
  private int[][] ring = new int[0][];
  private int[] sums = new int[0];
  private float[] line = new float[0];

  /**
   * Writes {@code 3 * window * window} floats from {@code at}: planes R, G, B of rows.
   *
   * @param box part of the image that is resized; pixels outside it have no influence
   * @param width of the whole result
   * @param height of the whole result
   * @param left of the window in the result
   * @param top of the window in the result
   * @param window width and height of the window
   * @param values float of each of 256 levels, for each of three channels
   */
  void resize(
      RgbImage image,
      CropBox box,
      int width,
      int height,
      int left,
      int top,
      int window,
      float[][] values,
      FloatBuffer out,
      int at) {
    Taps across = Taps.of(box.width(), width, left, window);
    Taps down = Taps.of(box.height(), height, top, window);
    prepare(across, down, window);
    int done = down.first()[0];
    for (int y = 0; y < window; y++) {
      while (done < down.last(y)) {
        // The last row of an odd number of rows is its own partner.
        int partner = Math.min(done + 1, box.height() - 1);
        horizontal(image, box, across, done, partner, window);
        done += 2;
      }
      vertical(down, y, 3 * window);
      for (int c = 0; c < 3; c++) {
        float[] value = values[c];
        for (int x = 0; x < window; x++) {
          line[x] = value[Math.max(0, Math.min(255, sums[c * window + x] >> Taps.BITS))];
        }
        out.put(at + (c * window + y) * window, line, 0, window);
      }
    }
  }

  private void prepare(Taps across, Taps down, int window) {
    int columns = across.last(window - 1) - across.first()[0];
    if (pair.length < 3 * columns) {
      pair = new long[3 * columns];
    }
    if (ring.length < down.stride() + 2 || ring[0].length != 3 * window) {
      ring = new int[down.stride() + 2][3 * window];
      sums = new int[3 * window];
      line = new float[window];
    }
  }

  /** Rows a and b of the box to their places in the ring, rounded to 0 to 255. */
  private void horizontal(RgbImage image, CropBox box, Taps across, int a, int b, int window) {
    int begin = across.first()[0];
    int columns = across.last(window - 1) - begin;
    unpack(
        image.rgb(),
        3 * ((box.top() + a) * image.width() + box.left() + begin),
        3 * ((box.top() + b) * image.width() + box.left() + begin),
        pair,
        columns);
    int[] upper = ring[a % ring.length];
    int[] lower = ring[(a + 1) % ring.length];
    filter(across, begin, window, upper, lower);
  }

  /** Samples r g b of two rows as (r, g), (b, r'), (g', b'). */
  private static void unpack(byte[] rgb, int a, int b, long[] pair, int columns) {
    for (int x = 0, i = 0; x < columns; x++, i += 3) {
      pair[i] = (rgb[a + i] & 0xff) | (rgb[a + i + 1] & 0xffL) << 32;
      pair[i + 1] = (rgb[a + i + 2] & 0xff) | (rgb[b + i] & 0xffL) << 32;
      pair[i + 2] = (rgb[b + i + 1] & 0xff) | (rgb[b + i + 2] & 0xffL) << 32;
    }
  }

  private void filter(Taps across, int begin, int window, int[] upper, int[] lower) {
    long[] samples = pair;
    int[] weights = across.weights();
    int[] first = across.first();
    int[] count = across.count();
    int stride = across.stride();
    for (int x = 0; x < window; x++) {
      long rg = TWO_HALVES;
      long br = TWO_HALVES;
      long gb = TWO_HALVES;
      int w = x * stride;
      int end = w + count[x];
      for (int i = 3 * (first[x] - begin); w < end; w++, i += 3) {
        long weight = weights[w];
        rg += weight * samples[i];
        br += weight * samples[i + 1];
        gb += weight * samples[i + 2];
      }
      upper[x] = level((int) rg);
      upper[window + x] = level(high(rg));
      upper[2 * window + x] = level((int) br);
      lower[x] = level(high(br));
      lower[window + x] = level((int) gb);
      lower[2 * window + x] = level(high(gb));
    }
  }

  private void vertical(Taps down, int y, int length) {
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
          weights[at + k + 3],
          length);
    }
    for (; k < count; k++) {
      add(sums, ring[(row + k) % ring.length], weights[at + k], length);
    }
  }

  private static void add4(
      int[] sums, int[] a, int[] b, int[] c, int[] d, int wa, int wb, int wc, int wd, int length) {
    for (int i = 0; i < length; i++) {
      sums[i] += wa * a[i] + wb * b[i] + wc * c[i] + wd * d[i];
    }
  }

  private static void add(int[] sums, int[] row, int weight, int length) {
    for (int i = 0; i < length; i++) {
      sums[i] += weight * row[i];
    }
  }

  private static final long TWO_HALVES = Taps.HALF | (long) Taps.HALF << 32;

  /** The upper sum of two: a negative lower one has borrowed from it. */
  private static int high(long sums) {
    return (int) ((sums - (int) sums) >> 32);
  }

  private static int level(int sum) {
    return Math.max(0, Math.min(255, sum >> Taps.BITS));
  }
}
