package io.github.kklip.eval;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.tensor.Torch;
import java.util.Arrays;

/**
 * Retrieval between captions and images by the cosine of their embeddings. An image may have
 * several captions: looking for an image there is one hit, looking for captions every caption of
 * the image is a hit and the first one counts.
 *
 * <p>Ties count against the model: a wrong answer goes before a hit unless the hit is better by
 * {@link #TIE}. So a model whose embeddings are all alike is at the bottom, and equal captions of
 * two images do not help either.
 */
final class Retrieval {
  /**
   * Cosines that differ by less are equal: the product of equal vectors may differ in its last bits
   * from one place in a matrix to another.
   */
  static final float TIE = 1e-6f;

  private static final int QUERIES_AT_ONCE = 256;

  /** The same for every query of a direction. */
  private interface Answers {
    boolean isHit(int query, int answer);
  }

  private Retrieval() {}

  /**
   * Rank, from 0, of each caption's image among all images.
   *
   * @param captions captions &times; dimension, rows of unit length
   * @param images images &times; dimension, rows of unit length
   * @param imageOf for each caption the row of its image
   */
  static int[] imageRanks(float[] captions, float[] images, int[] imageOf) {
    return ranks(captions, imageOf.length, images, (caption, image) -> imageOf[caption] == image);
  }

  /** Rank, from 0, of the first of each image's captions among all captions. */
  static int[] captionRanks(float[] captions, float[] images, int[] imageOf) {
    int count = images.length / (captions.length / imageOf.length);
    return ranks(images, count, captions, (image, caption) -> imageOf[caption] == image);
  }

  private static int[] ranks(float[] queries, int count, float[] answers, Answers truth) {
    int dimension = queries.length / count;
    int[] ranks = new int[count];
    try (NDManager manager = Torch.manager()) {
      NDArray against =
          manager.create(answers, new Shape(answers.length / dimension, dimension)).transpose();
      for (int first = 0; first < count; first += QUERIES_AT_ONCE) {
        int end = Math.min(count, first + QUERIES_AT_ONCE);
        float[] part = Arrays.copyOfRange(queries, first * dimension, end * dimension);
        try (NDManager scope = manager.newSubManager()) {
          NDArray block = scope.create(part, new Shape(end - first, dimension));
          float[] cosines = block.matMul(against).toFloatArray();
          int width = answers.length / dimension;
          for (int query = first; query < end; query++) {
            ranks[query] = rank(cosines, (query - first) * width, width, query, truth);
          }
        }
      }
    }
    return ranks;
  }

  private static int rank(float[] cosines, int from, int width, int query, Answers truth) {
    float best = Float.NEGATIVE_INFINITY;
    for (int answer = 0; answer < width; answer++) {
      float cosine = cosines[from + answer];
      if (Float.isNaN(cosine)) {
        throw new IllegalStateException(
            "Cannot rank the answers because the model's embeddings are not finite. Its weights are damaged or its training diverged.");
      }
      if (truth.isHit(query, answer)) {
        best = Math.max(best, cosine);
      }
    }
    int before = 0;
    for (int answer = 0; answer < width; answer++) {
      if (cosines[from + answer] >= best - TIE && !truth.isHit(query, answer)) {
        before++;
      }
    }
    return before;
  }

  /** The {@code count} best answers to one query, best first. */
  static int[] best(float[] queries, int query, float[] answers, int dimension, int count) {
    int width = answers.length / dimension;
    double[] cosines = new double[width];
    for (int answer = 0; answer < width; answer++) {
      for (int j = 0; j < dimension; j++) {
        cosines[answer] +=
            (double) queries[query * dimension + j] * answers[answer * dimension + j];
      }
    }
    return java.util.stream.IntStream.range(0, width)
        .boxed()
        .sorted((a, b) -> Double.compare(cosines[b], cosines[a]))
        .limit(count)
        .mapToInt(Integer::intValue)
        .toArray();
  }
}
