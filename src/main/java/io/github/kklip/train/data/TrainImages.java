package io.github.kklip.train.data;

import io.github.kklip.image.Augment;
import io.github.kklip.image.CropBox;
import io.github.kklip.image.ImageDecoder;
import io.github.kklip.image.ImageRejectedException;
import io.github.kklip.image.Preprocess;
import io.github.kklip.image.Preprocessing;
import io.github.kklip.image.RgbImage;
import io.github.kklip.train.plan.TrainPlan;
import java.io.IOException;
import java.nio.FloatBuffer;

/** Training images: decoded, a random crop resized, normalised. */
public final class TrainImages implements PixelReader {
  private final Preprocessing preprocessing;
  private final Augment augment;
  private final long maxPixels;

  /** One for each thread: it keeps scratch memory. */
  private final ThreadLocal<Preprocess> preprocess;

  public TrainImages(TrainPlan plan) {
    preprocessing = plan.preprocessing();
    augment = new Augment(plan.settings().train().loader().augmentMinScale());
    maxPixels = plan.settings().ingest().images().maxPixels();
    preprocess = ThreadLocal.withInitial(() -> new Preprocess(preprocessing));
  }

  @Override
  public int values() {
    return 3 * preprocessing.side() * preprocessing.side();
  }

  @Override
  public void read(byte[] encoded, long seed, FloatBuffer target) throws IOException {
    RgbImage image;
    try {
      image = ImageDecoder.decode(encoded, maxPixels);
    } catch (ImageRejectedException e) {
      throw new IOException(e.getMessage(), e);
    }
    if (augment.minScale() < 1) {
      CropBox box = augment.box(image.width(), image.height(), seed);
      preprocess.get().apply(image, box, target, 0);
    } else {
      preprocess.get().apply(image, target, 0);
    }
  }
}
