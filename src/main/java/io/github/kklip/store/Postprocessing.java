package io.github.kklip.store;

import io.github.kklip.config.TeacherSettings.Postprocess;
import java.io.Serializable;

/**
 * What turns a raw teacher embedding into the t of the method. Shards hold raw embeddings; this is
 * applied wherever they are read.
 *
 * @param mean mean of the raw training embeddings
 */
public record Postprocessing(Postprocess kind, double[] mean) implements Serializable {

  /**
   * What these settings do to these embeddings.
   *
   * @throws IllegalStateException when the embeddings have no mean yet
   */
  public static Postprocessing of(Postprocess kind, TeacherManifest manifest) {
    if (manifest.mean().isEmpty()) {
      throw new IllegalStateException(
          "Cannot use the embeddings because their mean is not known yet: they are not complete. Run the job embed to its end.");
    }
    return new Postprocessing(
        kind, manifest.mean().stream().mapToDouble(Double::doubleValue).toArray());
  }

  /**
   * Changes {@code embedding} in place: {@code centre-l2} subtracts the mean and divides by the
   * Euclidean norm (zero stays zero), {@code none} does nothing.
   */
  public void apply(float[] embedding) {
    switch (kind) {
      case NONE -> {}
      case CENTRE_L2 -> {
        double square = 0;
        for (int i = 0; i < embedding.length; i++) {
          double centred = embedding[i] - mean[i];
          square += centred * centred;
        }
        double scale = square > 0 ? 1 / Math.sqrt(square) : 0;
        for (int i = 0; i < embedding.length; i++) {
          embedding[i] = (float) ((embedding[i] - mean[i]) * scale);
        }
      }
    }
  }
}
