package io.github.kklip.image;

import static io.github.kklip.config.Message.message;

import java.nio.FloatBuffer;
import java.util.List;

/**
 * From an image to what CLIP's vision tower takes, as the {@code CLIPImageProcessor} of
 * transformers does it with Pillow: the shorter side resized to {@code size} (bicubic, antialiased,
 * 8 bits; the longer side is rounded down), the centre cut out, every level v of channel c to (v /
 * 255 - mean_c) / std_c. Bit for bit equal from equal pixels.
 *
 * <p>Instances keep scratch memory: one for each thread.
 */
public final class Preprocess {
  /** Mean of each channel over the images that CLIP was first trained on. */
  public static final List<Double> MEAN = List.of(0.48145466, 0.4578275, 0.40821073);

  /** Standard deviation of each channel over those images. */
  public static final List<Double> STD = List.of(0.26862954, 0.26130258, 0.27577711);

  private static final float[][] NORMALISED = normalised();

  private final int size;
  private final Bicubic bicubic = new Bicubic();

  /**
   * @param size side of the square that the model takes, in pixels
   */
  public Preprocess(int size) {
    if (size < 1) {
      throw new IllegalArgumentException(
          message("Cannot make images of %s pixels. Give a side of at least 1.", size));
    }
    this.size = size;
  }

  /** Floats of one image: {@code 3 * size * size}. */
  public int length() {
    return 3 * size * size;
  }

  /**
   * The whole image, its centre seen. Writes {@link #length()} floats, planes R, G, B of rows, from
   * position {@code at}; the buffer's own position stays.
   */
  public void apply(RgbImage image, FloatBuffer out, int at) {
    int shorter = Math.min(image.width(), image.height());
    int width = resized(image.width(), shorter);
    int height = resized(image.height(), shorter);
    bicubic.resize(
        image,
        CropBox.whole(image.width(), image.height()),
        width,
        height,
        new CropBox((width - size) / 2, (height - size) / 2, size, size),
        NORMALISED,
        out,
        at);
  }

  /** One box of the image, seen whole: resized to the square whatever its aspect. */
  public void apply(RgbImage image, CropBox box, FloatBuffer out, int at) {
    box.checkInside(image);
    bicubic.resize(image, box, size, size, CropBox.whole(size, size), NORMALISED, out, at);
  }

  private int resized(int side, int shorter) {
    return Math.toIntExact((long) size * side / shorter);
  }

  private static float[][] normalised() {
    float[][] values = new float[3][256];
    for (int c = 0; c < 3; c++) {
      float mean = MEAN.get(c).floatValue();
      float std = STD.get(c).floatValue();
      for (int level = 0; level < 256; level++) {
        values[c][level] = ((float) (level * (1 / 255.0)) - mean) / std;
      }
    }
    return values;
  }
}
