package io.github.kklip.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.config.SplitMix64;
import io.github.kklip.tensor.Torch;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class RetrievalTest {
  @BeforeAll
  static void start() {
    Torch.start(1);
  }

  /** Unit vectors in the plane by their angles in degrees. */
  private static float[] angles(double... degrees) {
    float[] rows = new float[2 * degrees.length];
    for (int i = 0; i < degrees.length; i++) {
      rows[2 * i] = (float) Math.cos(Math.toRadians(degrees[i]));
      rows[2 * i + 1] = (float) Math.sin(Math.toRadians(degrees[i]));
    }
    return rows;
  }

  @Test
  void rankIsTheNumberOfBetterAnswers() {
    // Images at 0, 40 and 90; captions of image 0 at 10 and 70, of image 1 at 30, of image 2 at 5.
    float[] images = angles(0, 40, 90);
    float[] captions = angles(10, 70, 30, 5);
    int[] imageOf = {0, 0, 1, 2};
    assertThat(Retrieval.imageRanks(captions, images, imageOf)).containsExactly(0, 2, 0, 2);
    // Image 0: caption at 5 is nearer than its own at 10. Image 1: its own at 30 is nearest.
    // Image 2: 70 and 30 and 10 are nearer than 5.
    assertThat(Retrieval.captionRanks(captions, images, imageOf)).containsExactly(1, 0, 3);
  }

  @Test
  void ownCaptionsDoNotCompeteWithEachOther() {
    // All three captions of image 0 come before the one of image 1, but the first is what counts.
    float[] images = angles(0, 90);
    float[] captions = angles(1, 2, 3, 50);
    assertThat(Retrieval.captionRanks(captions, images, new int[] {0, 0, 0, 1}))
        .containsExactly(0, 0);
  }

  @Test
  void tiesCountAgainstTheModel() {
    float[] alike = angles(30, 30, 30, 30);
    int[] imageOf = {0, 1, 2, 3};
    assertThat(Retrieval.imageRanks(alike, alike, imageOf)).containsExactly(3, 3, 3, 3);
    assertThat(Retrieval.captionRanks(alike, alike, imageOf)).containsExactly(3, 3, 3, 3);
  }

  @Test
  void equalVectorsAreTiesWhereverTheyStand() {
    // Equal rows in the middle and in the remainder of the multiplication's blocks.
    SplitMix64 random = new SplitMix64(5);
    int dimension = 67;
    int count = 301;
    float[] row = new float[dimension];
    for (int j = 0; j < dimension; j++) {
      row[j] = (float) random.nextGaussian();
    }
    Embedder.normalise(row, 0, dimension);
    float[] rows = new float[count * dimension];
    int[] imageOf = new int[count];
    for (int i = 0; i < count; i++) {
      System.arraycopy(row, 0, rows, i * dimension, dimension);
      imageOf[i] = i;
    }
    assertThat(Retrieval.imageRanks(rows, rows, imageOf)).containsOnly(count - 1);
  }

  @Test
  void bestAnswersAreInOrder() {
    float[] images = angles(0, 40, 90, 20);
    assertThat(Retrieval.best(angles(5, 95), 0, images, 2, 3)).containsExactly(0, 3, 1);
    assertThat(Retrieval.best(angles(5, 95), 1, images, 2, 9)).containsExactly(2, 1, 3, 0);
  }

  @Test
  void refusesEmbeddingsThatAreNotFinite() {
    float[] broken = angles(10, 20);
    broken[0] = Float.NaN;
    assertThatThrownBy(() -> Retrieval.imageRanks(broken, angles(0, 90), new int[] {0, 1}))
        .hasMessageContaining("because the model's embeddings are not finite");
  }
}
