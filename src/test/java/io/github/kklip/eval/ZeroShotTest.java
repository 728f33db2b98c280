package io.github.kklip.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Offset.offset;

import io.github.kklip.eval.EvaluationResult.Classification;
import org.junit.jupiter.api.Test;

class ZeroShotTest {
  @Test
  void aClassIsTheMeanOfItsUnitEmbeddingsAtUnitLength() {
    // Two templates of one class: (1, 0) and (0, 1); of another: (0.6, 0.8) twice.
    float[] classes = ZeroShot.averaged(new float[] {1, 0, 0, 1, 0.6f, 0.8f, 0.6f, 0.8f}, 2, 2);
    float half = (float) Math.sqrt(0.5);
    assertThat(classes).containsExactly(new float[] {half, half, 0.6f, 0.8f}, offset(1e-6f));
  }

  @Test
  void figures() {
    Classification figures = ZeroShot.figures(new int[] {0, 3, 5, 0}, 10, 2);
    assertThat(figures).isEqualTo(new Classification(0.5, 0.75, 0.1, 0.5, 4, 10, 2));
  }
}
