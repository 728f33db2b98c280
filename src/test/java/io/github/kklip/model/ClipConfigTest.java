package io.github.kklip.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ClipConfigTest {
  @Test
  void builtInShapesSurviveJson(@TempDir Path folder) throws IOException {
    for (String name : ClipConfig.BUILT_IN) {
      ClipConfig config = ClipConfig.read(name);
      Files.writeString(folder.resolve("config.json"), config.json());
      assertThat(ClipConfig.read(folder.toString())).as(name).isEqualTo(config);
    }
    ClipConfig base = ClipConfig.read("vit-b-16");
    assertThat(base.vision().grid()).isEqualTo(14);
    assertThat(base.text().endId()).isEqualTo(49407);
    assertThat(ClipConfig.read("small").text().context()).isEqualTo(32);
  }

  @Test
  void absentFieldsHaveHuggingFacesDefaults() {
    ClipConfig config =
        ClipConfig.parse(
            """
            {"model_type": "clip", "text_config": {"hidden_size": 99}, "vision_config": {"hidden_act": "gelu"},
             "text_config_dict": {"eos_token_id": 2}}
            """,
            "here");
    assertThat(config.text().width()).isEqualTo(512);
    assertThat(config.text().pooledAtHighestId()).isTrue();
    assertThat(config.vision().activation()).isEqualTo(ClipConfig.Activation.GELU);
    assertThat(config.projection()).isEqualTo(512);
    assertThat(config.logitScale()).isEqualTo(2.6592);
  }

  @Test
  void takesATokenizersSize() {
    ClipConfig.Text text = ClipConfig.read("tiny").withVocabulary(600).text();
    assertThat(text.vocabulary()).isEqualTo(600);
    assertThat(text.startId()).isEqualTo(598);
    assertThat(text.endId()).isEqualTo(599);
  }

  @Test
  void saysWhatIsWrong() {
    assertThatThrownBy(() -> ClipConfig.read("huge"))
        .hasMessageContaining("no such file: huge")
        .hasMessageContaining("vit-b-32");
    assertThatThrownBy(() -> ClipConfig.parse("{", "here"))
        .hasMessageContaining("here")
        .hasMessageContaining("not JSON");
    assertThatThrownBy(() -> ClipConfig.parse("{\"model_type\": \"llama\"}", "here"))
        .hasMessageContaining("not clip: \"llama\"");
    assertThatThrownBy(
            () ->
                ClipConfig.parse(
                    "{\"model_type\": \"clip\", \"text_config\": {\"hidden_size\": \"x\"}}",
                    "here"))
        .hasMessageContaining("text_config.hidden_size is not a whole number: \"x\"");
    assertThatThrownBy(
            () ->
                ClipConfig.parse(
                    "{\"model_type\": \"clip\", \"vision_config\": {\"hidden_act\": \"relu\"}}",
                    "here"))
        .hasMessageContaining("vision_config.hidden_act is not quick_gelu or gelu");
    assertThatThrownBy(
            () ->
                ClipConfig.parse(
                    "{\"model_type\": \"clip\", \"text_config\": {\"num_attention_heads\": 7}}",
                    "here"))
        .hasMessageContaining("512 is not a multiple of num_attention_heads: 7");
    assertThatThrownBy(
            () ->
                ClipConfig.parse(
                    "{\"model_type\": \"clip\", \"vision_config\": {\"image_size\": 8}}", "here"))
        .hasMessageContaining("smaller than one patch: 32");
  }
}
