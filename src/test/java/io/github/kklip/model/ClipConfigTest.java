package io.github.kklip.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.config.ModelLimits;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

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

  /** A shape may come from anybody; nothing of its size is allocated before. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "'text_config':{'vocab_size':1000001} | text_config.vocab_size is over 1000000, more than any CLIP model has: 1000001. Give the config.json of a CLIPModel.",
        "'text_config':{'max_position_embeddings':65537} | text_config.max_position_embeddings is over 65536",
        "'text_config':{'hidden_size':2147483647} | text_config.hidden_size is over 65536, more than any CLIP model has: 2147483647",
        "'text_config':{'hidden_size':2147483648} | text_config.hidden_size is not from -2147483648 to 2147483647: 2147483648",
        "'text_config':{'hidden_size':-9223372036854775809} | text_config.hidden_size is not from -2147483648",
        "'text_config':{'intermediate_size':262145} | text_config.intermediate_size is over 262144",
        "'text_config':{'num_hidden_layers':1025} | text_config.num_hidden_layers is over 1024",
        "'vision_config':{'hidden_size':65536,'num_attention_heads':2048} | vision_config.num_attention_heads is over 1024",
        "'vision_config':{'image_size':16385} | vision_config.image_size is over 16384",
        "'vision_config':{'image_size':4096,'patch_size':8} | because its images of 4096 pixels have more than 65536 patches of 8 pixels: 262144.",
        "'vision_config':{'hidden_size':65536,'num_attention_heads':64,'intermediate_size':262144,'num_hidden_layers':1000} | because it has more than 1000000000000 parameters: 5153",
        "'projection_dim':65537 | projection_dim is over 65536",
        "'logit_scale_init_value':1e400 | logit_scale_init_value is not from -1000000 to 1000000",
        "'text_config':{'layer_norm_eps':1e9} | text_config.layer_norm_eps is not from -1000000 to 1000000: 1.0E9",
      })
  void absurdSizesAreRefused(String fields, String message) {
    String json = ("{'model_type':'clip'," + fields + "}").replace('\'', '"');
    assertThatThrownBy(() -> ClipConfig.parse(json, "here"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining(message);
  }

  @Test
  void absurdJsonIsRefusedInFewWords(@TempDir Path folder) throws IOException {
    String clip = "{\"model_type\": \"clip\", \"text_config\": {\"hidden_size\": %s}}";
    assertThatThrownBy(
            () -> ClipConfig.parse(clip.formatted("[".repeat(5000) + "]".repeat(5000)), "here"))
        .hasMessageContaining("because it is not JSON: Document nesting depth");
    assertThatThrownBy(() -> ClipConfig.parse(clip.formatted("9".repeat(2000)), "here"))
        .hasMessageContaining("because it is not JSON: Number value length");
    assertThatThrownBy(
            () -> ClipConfig.parse(clip.formatted("\"" + "x".repeat(1 << 20) + "\""), "here"))
        .hasMessageContaining("text_config.hidden_size is not a whole number: \"xxxx")
        .hasMessageEndingWith("x... (1048578 characters).");
    assertThatThrownBy(() -> ClipConfig.parse("{\"model_type\": \"a\\u001b[2Jb\"}", "here"))
        .hasMessageContaining("is not clip: \"a\\u001b[2Jb\"");

    Path file = folder.resolve("config.json");
    Files.writeString(file, clip.formatted("512") + " ".repeat(ModelLimits.CONFIG_BYTES));
    assertThatThrownBy(() -> ClipConfig.read(folder.toString()))
        .hasMessageContaining(
            "Cannot read "
                + file
                + " because it has more than 4194304 bytes, which is more than such a file may have.");
  }
}
