package io.github.kklip.image;

import java.nio.FloatBuffer;

/**
 * From an image to what CLIP's vision tower takes, as the {@code CLIPImageProcessor} of
 * transformers does it with Pillow: resized with 8 bits, the centre cut out, every level v of
 * channel c to (v * rescale - mean_c) / std_c. Bit for bit equal from equal pixels.
 *
 * <p>Instances keep scratch memory: one for each thread.
 */
public final class Preprocess {
  private final Preprocessing how;
  private final Resizer resizer;

  /** The float of each of 256 levels, for each of three channels. */
  private final float[][] values;

  public Preprocess(Preprocessing how) {
    this.how = how;
    resizer = new Resizer(how.filter());
    values = values(how);
  }

  /** Floats of one image: {@code 3 * side * side}. */
  public int length() {
    return 3 * how.side() * how.side();
  }

  /**
   * The whole image, its centre seen. Writes {@link #length()} floats, planes R, G, B of rows, from
   * position {@code at}; the buffer's own position stays.
   */
  public void apply(RgbImage image, FloatBuffer out, int at) {
    int side = how.side();
    int shorter = Math.min(image.width(), image.height());
    int width = how.squash() ? how.edge() : resized(image.width(), shorter);
    int height = how.squash() ? how.edge() : resized(image.height(), shorter);
    resizer.resize(
        image,
        CropBox.whole(image.width(), image.height()),
        width,
        height,
        new CropBox((width - side) / 2, (height - side) / 2, side, side),
        values,
        out,
        at);
  }

  /** One box of the image, seen whole: resized to the square whatever its aspect. */
  public void apply(RgbImage image, CropBox box, FloatBuffer out, int at) {
    box.checkInside(image);
    int side = how.side();
    resizer.resize(image, box, side, side, CropBox.whole(side, side), values, out, at);
  }

  private int resized(int length, int shorter) {
    return Math.toIntExact((long) how.edge() * length / shorter);
  }

  private static float[][] values(Preprocessing how) {
    float[][] values = new float[3][256];
    for (int c = 0; c < 3; c++) {
      float mean = how.mean().get(c).floatValue();
      float std = how.std().get(c).floatValue();
      for (int level = 0; level < 256; level++) {
        values[c][level] = ((float) (level * how.rescale()) - mean) / std;
      }
    }
    return values;
  }
}
