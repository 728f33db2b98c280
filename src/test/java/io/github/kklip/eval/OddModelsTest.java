package io.github.kklip.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Device;
import io.github.kklip.SharedData;
import io.github.kklip.config.Settings;
import io.github.kklip.config.TeacherSettings;
import io.github.kklip.image.PreprocessorConfig;
import io.github.kklip.teacher.CaptionEmbedder;
import io.github.kklip.tensor.Torch;
import io.github.kklip.text.StudentTokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Folders of models that were once refused or misread, where they stand beside the checkout. */
class OddModelsTest {
  private static final TeacherSettings TEACHER = Settings.load(List.of(), List.of()).teacher();

  @BeforeAll
  static void start() {
    Torch.start(1);
  }

  private static Path cases(String name) {
    return SharedData.shownCase(name);
  }

  @Test
  void aClipFolderWithVocabularyAndMergesAlone() throws IOException {
    Path folder = cases("S01");
    try (StudentTokenizer tokenizer = StudentTokenizer.load(folder);
        Embedder embedder = new Embedder(folder, tokenizer, 2, 1)) {
      assertThat(tokenizer.encode("A red square's shadow", 77)).startsWith(553).endsWith(554);
      assertThat(embedder.captions(List.of("a red square"))).hasSize(12);
    }
  }

  @Test
  void aClipFolderWithNumbersOfItsOwn() throws IOException {
    assertThat(PreprocessorConfig.read(cases("S05"), 32).mean()).containsExactly(0.5, 0.5, 0.5);
  }

  @Test
  void aTeacherWhoseWeightsAreAPointer() throws IOException {
    assertThatThrownBy(() -> CaptionEmbedder.open(cases("T03a"), TEACHER, Device.cpu()))
        .hasMessageContaining(
            "model.safetensors because it is a Git LFS pointer: run git lfs pull");
  }

  @Test
  void aTokenizerWithAPaddingTokenBeyondTheModel() throws IOException {
    try (CaptionEmbedder teacher = CaptionEmbedder.open(cases("T05"), TEACHER, Device.cpu())) {
      assertThat(teacher.embed(List.of("a dog", "a [PAD] dog"))).hasSize(2);
    }
  }
}
