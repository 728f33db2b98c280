package io.github.kklip.train.data;

import java.io.IOException;
import java.nio.FloatBuffer;

/** Makes the pixels of one training image. */
interface PixelReader {
  /** Values of one image: 3 S². */
  int values();

  /**
   * Decodes, augments and normalises.
   *
   * @param seed decides the augmentation
   * @param target gets {@link #values} floats
   */
  void read(byte[] encoded, long seed, FloatBuffer target) throws IOException;
}
