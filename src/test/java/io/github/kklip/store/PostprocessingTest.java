package io.github.kklip.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.config.TeacherSettings.Postprocess;
import java.util.List;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

class PostprocessingTest {
  private static TeacherManifest manifest(List<Double> mean) {
    return new TeacherManifest(
        new ProcessingSettings(new TreeMap<>()),
        2,
        VectorStorage.FLOAT32,
        new TreeMap<>(),
        mean.isEmpty() ? 0 : 4,
        mean);
  }

  @Test
  void centresAndScalesToUnitLength() {
    Postprocessing centred = Postprocessing.of(Postprocess.CENTRE_L2, manifest(List.of(1.0, 2.0)));
    float[] embedding = {4, 6};
    centred.apply(embedding);
    assertThat(embedding).containsExactly(0.6f, 0.8f);
  }

  @Test
  void theMeanItselfBecomesZero() {
    Postprocessing centred = Postprocessing.of(Postprocess.CENTRE_L2, manifest(List.of(1.0, 2.0)));
    float[] embedding = {1, 2};
    centred.apply(embedding);
    assertThat(embedding).containsExactly(0, 0);
  }

  @Test
  void noneChangesNothing() {
    Postprocessing none = Postprocessing.of(Postprocess.NONE, manifest(List.of(1.0, 2.0)));
    float[] embedding = {4, 6};
    none.apply(embedding);
    assertThat(embedding).containsExactly(4, 6);
  }

  @Test
  void refusesEmbeddingsWithoutAMean() {
    assertThatThrownBy(() -> Postprocessing.of(Postprocess.CENTRE_L2, manifest(List.of())))
        .hasMessage(
            "Cannot use the embeddings because their mean is not known yet: they are not complete."
                + " Run the job embed to its end.");
  }
}
