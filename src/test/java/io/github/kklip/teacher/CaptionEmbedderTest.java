package io.github.kklip.teacher;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.offset;

import ai.djl.Device;
import io.github.kklip.SharedData;
import io.github.kklip.config.ElementType;
import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.config.TeacherSettings;
import io.github.kklip.tensor.Torch;
import io.github.kklip.text.TeacherTokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CaptionEmbedderTest {
  private static final List<String> WORDS = List.of("a", "red", "are", "square", "circle", "blue");

  @TempDir Path folder;

  @BeforeAll
  static void start() {
    Torch.start(2);
  }

  @Test
  void wordsOfTheRandomLlamaAreTokens() throws IOException {
    RandomLlama.write(folder, 1, WORDS, 32, 1);
    try (TeacherTokenizer tokenizer =
        TeacherTokenizer.load(folder, LlamaConfig.read(folder).vocabSize())) {
      int[] ids = tokenizer.encode("A red square are blue", 64);
      assertThat(ids).hasSize(6).startsWith(1);
      assertThat(Arrays.stream(ids).distinct()).hasSize(6);
      // A word that it does not know is spelled: by known letters, and by the bytes of others.
      assertThat(tokenizer.encode("red é", 64)).hasSize(5);
    }
  }

  @Test
  void randomLlamaIsAFunctionOfItsSeed() throws IOException {
    for (String name : List.of("one", "same")) {
      RandomLlama.write(folder.resolve(name), 1, WORDS, 32, 1);
    }
    RandomLlama.write(folder.resolve("other"), 2, WORDS, 32, 1);
    Configuration configuration = new Configuration();
    String one = TeacherFolder.identity(configuration, folder.resolve("one").toString());
    assertThat(TeacherFolder.identity(configuration, folder.resolve("same").toString()))
        .isEqualTo(one);
    assertThat(TeacherFolder.identity(configuration, folder.resolve("other").toString()))
        .isNotEqualTo(one);
  }

  @Test
  void captionsWithTheSameWordsAreNear() throws IOException {
    RandomLlama.write(folder, 1, WORDS, 64, 2);
    try (CaptionEmbedder embedder = open()) {
      List<float[]> all = embedder.embed(List.of("a red square", "red square", "a blue circle"));
      assertThat(cosine(all.get(0), all.get(1)))
          .isGreaterThan(cosine(all.get(0), all.get(2)) + 0.1);
    }
  }

  @Test
  void orderAndBatchesDoNotMatter() throws IOException {
    RandomLlama.write(folder, 1, WORDS, 32, 2);
    List<String> captions = new ArrayList<>();
    for (int i = 0; i < 60; i++) {
      captions.add("a red square ".repeat(1 + i % 7) + WORDS.get(i % WORDS.size()));
    }
    captions.add(captions.get(3));
    try (CaptionEmbedder large = open("batch-tokens=100000");
        CaptionEmbedder small = open("batch-tokens=1")) {
      List<float[]> together = large.embed(captions);
      assertThat(together.get(60)).isSameAs(together.get(3));
      for (int i = 0; i < captions.size(); i++) {
        assertThat(together.get(i))
            .containsExactly(small.embed(List.of(captions.get(i))).get(0), offset(1e-5f));
      }
    }
  }

  @Test
  void longCaptionsAreCut() throws IOException {
    RandomLlama.write(folder, 1, WORDS, 32, 2);
    try (CaptionEmbedder embedder = open("max-length=4")) {
      List<float[]> all = embedder.embed(List.of("a red square are blue", "a red square"));
      assertThat(all.get(0)).containsExactly(all.get(1), offset(1e-6f));
    }
    assertThatThrownBy(() -> open("max-length=513"))
        .hasMessage(
            "Cannot use captions of 513 tokens because "
                + folder
                + " was made for 512 positions. Set kklip.teacher.max-length to at most that.");
  }

  @Test
  void longCaptionsAreRefusedWhereThatIsSet() throws IOException {
    RandomLlama.write(folder, 1, WORDS, 32, 2);
    try (CaptionEmbedder strict = open("max-length=4", "long-captions=refuse");
        CaptionEmbedder lenient = open("max-length=4")) {
      assertThat(strict.embed(List.of("a red square")).get(0))
          .containsExactly(lenient.embed(List.of("a red square")).get(0));
      assertThatThrownBy(() -> strict.embed(List.of("a red square", "a red square are blue")))
          .hasMessage(
              "Cannot embed a caption because it has 6 tokens, kklip.teacher.max-length is 4 and"
                  + " kklip.teacher.long-captions is refuse: \"a red square are blue\". Set"
                  + " kklip.teacher.long-captions = cut, raise kklip.teacher.max-length (the teacher"
                  + " has 512 positions), or remove the caption.");
    }
  }

  @Test
  void refusesATeacherThatCannotBeUsed() throws IOException {
    RandomLlama.write(folder, 1, WORDS, 32, 2);
    assertThatThrownBy(() -> open("dtype=float16"))
        .isInstanceOf(SettingsException.class)
        .hasMessageStartingWith("Cannot use kklip.teacher.dtype = float16");
    LlamaConfig config = LlamaConfig.read(folder);
    assertThatThrownBy(
            () ->
                CaptionEmbedder.requireMemory(
                    config, settings(), ElementType.FLOAT32, Device.cpu(), folder, 1 << 20))
        .isInstanceOf(SettingsException.class)
        .hasMessageStartingWith("Cannot load the teacher " + folder + " because it needs 0.0 GiB")
        .hasMessageEndingWith("executors with more memory outside the heap.");
    assertThatThrownBy(
            () ->
                CaptionEmbedder.requireMemory(
                    config, settings(), ElementType.BFLOAT16, Device.gpu(3), folder, 1 << 20))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("0.0 GiB of memory on gpu(3) are available")
        .hasMessageEndingWith("GPUs with more memory.");
    Files.delete(folder.resolve("tokenizer.json"));
    assertThatThrownBy(this::open)
        .hasMessageContaining("neither tokenizer.json nor tokenizer.model");
  }

  @Test
  void aTeacherThatDoesNotFitIsRefusedBeforeItsWeightsAreLookedFor() throws IOException {
    RandomLlama.write(folder, 1, WORDS, 32, 2);
    Files.delete(folder.resolve("model.safetensors"));
    Path config = folder.resolve("config.json");
    String text = Files.readString(config);
    // About the largest that a configuration may be.
    String larger =
        text.replaceFirst("(\"num_hidden_layers\"\\s*:\\s*)\\d+", "$1" + 15)
            .replaceFirst("(\"hidden_size\"\\s*:\\s*)\\d+", "$1" + 65_536)
            .replaceFirst("(\"intermediate_size\"\\s*:\\s*)\\d+", "$1" + 262_144);
    assertThat(larger).isNotEqualTo(text);
    Files.writeString(config, larger);

    assertThatThrownBy(
            () ->
                SharedEmbedder.acquire(new Configuration(), settings("path=" + folder), "x", "cpu"))
        .isInstanceOf(SettingsException.class)
        .hasMessageMatching(
            "Cannot load the teacher .* because it needs \\d{4,}\\.\\d GiB .* and \\d+\\.\\d GiB of"
                + " memory are available\\..*");
  }

  @Test
  void tasksOfAProcessShareOneTeacher() throws IOException {
    RandomLlama.write(folder, 1, WORDS, 32, 1);
    Configuration configuration = new Configuration();
    TeacherSettings one = settings("path=" + folder);
    TeacherSettings other = settings("path=" + folder, "pooling=last");
    try (SharedEmbedder second = SharedEmbedder.acquire(configuration, one, "x", "cpu")) {
      try (SharedEmbedder first = SharedEmbedder.acquire(configuration, one, "x", "cpu");
          SharedEmbedder third = SharedEmbedder.acquire(configuration, other, "x", "cpu")) {
        assertThat(second.embedder()).isSameAs(first.embedder());
        assertThat(third.embedder()).isNotSameAs(first.embedder());
      }
      // Open as long as one task has it.
      assertThat(second.embedder().embed(List.of("a red square"))).hasSize(1);
    }
  }

  /** Trained weights: another caption of the same scene is nearer than one of another. */
  @Test
  void trainedWeightsKnowParaphrases() throws IOException {
    Path stories = SharedData.path("weights/stories260K");
    try (CaptionEmbedder embedder =
        CaptionEmbedder.open(stories, settings("max-length=64"), Device.cpu())) {
      List<float[]> all =
          embedder.embed(
              List.of(
                  "A little girl plays with a dog in the park.",
                  "A small girl and her dog run in a park.",
                  "Two men sit at a table and drink coffee."));
      assertThat(cosine(all.get(0), all.get(1))).isGreaterThan(cosine(all.get(0), all.get(2)));
    }
  }

  private CaptionEmbedder open(String... assignments) throws IOException {
    return CaptionEmbedder.open(folder, settings(assignments), Device.cpu());
  }

  private static TeacherSettings settings(String... assignments) {
    return Settings.load(
            List.of(), Arrays.stream(assignments).map(text -> "teacher." + text).toList())
        .teacher();
  }

  private static double cosine(float[] a, float[] b) {
    double dot = 0;
    double aa = 0;
    double bb = 0;
    for (int i = 0; i < a.length; i++) {
      dot += a[i] * b[i];
      aa += a[i] * a[i];
      bb += b[i] * b[i];
    }
    return dot / Math.sqrt(aa * bb);
  }
}
