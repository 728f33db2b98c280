package io.github.kklip.teacher;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.offset;

import ai.djl.ndarray.types.Shape;
import io.github.kklip.config.ModelLimits;
import io.github.kklip.teacher.LlamaConfig.Rope;
import io.github.kklip.teacher.LlamaConfig.RopeType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LlamaConfigTest {
  private static final String LLAMA_2_7B =
      "'model_type':'llama','vocab_size':32000,'hidden_size':4096,'intermediate_size':11008,"
          + "'num_hidden_layers':32,'num_attention_heads':32,'max_position_embeddings':4096,"
          + "'rms_norm_eps':1e-05,'hidden_act':'silu'";

  @TempDir Path folder;

  @Test
  void readsLlama2() throws IOException {
    LlamaConfig config = read("{" + LLAMA_2_7B + "}");
    assertThat(config)
        .isEqualTo(
            new LlamaConfig(
                32_000,
                4096,
                11_008,
                32,
                32,
                32,
                128,
                4096,
                1e-5,
                new Rope(10_000, RopeType.DEFAULT, 1, 1, 1, 0),
                false,
                false,
                false));
    // The published 6,738,415,616 parameters less those of the output head.
    assertThat(config.parameters(32)).isEqualTo(6_738_415_616L - 32_000L * 4096);
  }

  /** As published: Mistral 7B v0.1 has a window of 4096, v0.3 none. */
  @Test
  void aMistralHasThePositionsOfItsWindow() throws IOException {
    String mistral =
        "'model_type':'mistral','vocab_size':32000,'hidden_size':4096,'intermediate_size':14336,"
            + "'num_hidden_layers':32,'num_attention_heads':32,'rms_norm_eps':1e-05,"
            + "'max_position_embeddings':32768";
    LlamaConfig config = read("{" + mistral + ",'sliding_window':512,'num_key_value_heads':4}");
    assertThat(config.maxPositions()).isEqualTo(512);
    assertThat(config.keyValueHeads()).isEqualTo(4);
    assertThat(read("{" + mistral + ",'sliding_window':null}").maxPositions()).isEqualTo(32_768);
    assertThat(read("{" + mistral + "}").maxPositions()).isEqualTo(4096);
    assertThat(read("{" + mistral + "}").keyValueHeads()).isEqualTo(8);
    assertThat(read("{" + LLAMA_2_7B + ",'sliding_window':512}").maxPositions())
        .as("a Llama has none")
        .isEqualTo(4096);
    assertThatThrownBy(() -> Llama.requirePositions(config, 513, folder))
        .hasMessageContaining("was made for 512 positions. Set kklip.teacher.max-length");
    Llama.requirePositions(config, 512, folder);
  }

  @Test
  void parametersAreThoseOfTheTensors() throws IOException {
    LlamaConfig config =
        read(
            "{"
                + LLAMA_2_7B
                + ",'num_key_value_heads':8,'head_dim':64,'attention_bias':true,'mlp_bias':true}");
    assertThat(Llama.tensors(config, 32).values().stream().mapToLong(Shape::size).sum())
        .isEqualTo(config.parameters(32));
  }

  @Test
  void readsTheNestedRotaryParametersOfNewerFiles() throws IOException {
    LlamaConfig config =
        read(
            "{"
                + LLAMA_2_7B
                + ",'rope_parameters':{'rope_type':'linear','factor':4,'rope_theta':500000.0}}");
    assertThat(config.rope()).isEqualTo(new Rope(500_000, RopeType.LINEAR, 4, 1, 1, 0));
  }

  @Test
  void frequenciesFallGeometrically() {
    float[] frequencies = new Rope(16, RopeType.DEFAULT, 1, 1, 1, 0).frequencies(8);
    assertThat(frequencies).containsExactly(new float[] {1, 0.5f, 0.25f, 0.125f}, offset(1e-7f));
    assertThat(new Rope(16, RopeType.LINEAR, 2, 1, 1, 0).frequencies(8))
        .containsExactly(new float[] {0.5f, 0.25f, 0.125f, 0.0625f}, offset(1e-7f));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{'model_type':'bert'} | because its model_type is 'bert', not 'llama' or 'mistral'. Set kklip.teacher.path to a Llama or Mistral model.",
        "{'model_type':'qwen2'} | because its model_type is 'qwen2', not 'llama' or 'mistral'",
        "{'model_type':'qwen3'} | because its model_type is 'qwen3', not 'llama' or 'mistral'",
        "{'model_type':'gemma3_text'} | because its model_type is 'gemma3_text', not 'llama' or 'mistral'",
        "{} | because its model_type is '', not 'llama'",
        "{'model_type': | because it is not JSON",
        "{'model_type':'llama'} | because it lacks the whole number hidden_size",
        "{%s,'hidden_size':0} | because it lacks the whole number hidden_size",
        "{%s,'hidden_act':'gelu'} | hidden_act gelu is not implemented",
        "{%s,'quantization_config':{'bits':4}} | its weights are quantised",
        "{%s,'rope_scaling':{'rope_type':'yarn','factor':2}} | the rotary scaling 'yarn' is not implemented, only default, linear and llama3",
        "{%s,'rope_scaling':{'type':'linear'}} | it lacks the positive number factor",
        "{%s,'num_key_value_heads':5} | num_attention_heads 32 is not a multiple of num_key_value_heads 5",
        "{%s,'num_attention_heads':24} | hidden_size 4096 is not a multiple of num_attention_heads 24",
        "{%s,'head_dim':7} | the width of a head, 7, is odd",
        "{%s,'rms_norm_eps':0} | it lacks the positive number rms_norm_eps",
        "{%s,'vocab_size':1000001} | because its vocab_size is over 1000000, more than any Llama has: 1000001.",
        "{%s,'vocab_size':99999999999999999999} | because its vocab_size is over 1000000, more than any Llama has: 99999999999999999999.",
        "{%s,'vocab_size':-99999999999999999999} | it lacks the whole number vocab_size",
        "{%s,'hidden_size':65568} | because its hidden_size is over 65536",
        "{%s,'intermediate_size':262145} | because its intermediate_size is over 262144",
        "{%s,'num_hidden_layers':1025} | because its num_hidden_layers is over 1024",
        "{%s,'num_attention_heads':4096} | because its num_attention_heads is over 1024",
        "{%s,'head_dim':65538} | because its head_dim is over 65536",
        "{%s,'max_position_embeddings':16777217} | because its max_position_embeddings is over 16777216",
        "{%s,'hidden_size':65536,'intermediate_size':262144,'num_hidden_layers':1000} | because it has more than 1000000000000 parameters, ",
        "{%s,'rope_theta':1e13} | because its rope_theta is over 1.0E12, more than any Llama has: 1.0E13",
        "{%s,'rope_theta':1e400} | because its rope_theta is over 1.0E12, more than any Llama has: Infinity",
        "{%s,'rope_scaling':{'type':'linear','factor':1e7}} | because its factor is over 1000000.0",
      })
  void refusesWhatIsNotImplemented(String json, String message) {
    assertThatThrownBy(() -> read(json.replace("%s", LLAMA_2_7B)))
        .isInstanceOf(IOException.class)
        .hasMessageStartingWith("Cannot use " + folder.resolve("config.json"))
        .hasMessageContaining(message);
  }

  @Test
  void absurdJsonIsRefusedInFewWords() {
    assertThatThrownBy(() -> read("{'a':" + "[".repeat(5000) + "]".repeat(5000) + "}"))
        .hasMessageContaining("because it is not JSON: Document nesting depth");
    assertThatThrownBy(() -> read("{'model_type':'" + "x".repeat(1 << 20) + "'}"))
        .hasMessageContaining("x... (1048576 characters)', not 'llama'");
    assertThatThrownBy(() -> read("{" + LLAMA_2_7B + "}" + " ".repeat(ModelLimits.CONFIG_BYTES)))
        .hasMessageContaining("because it has more than 4194304 bytes");
  }

  @Test
  void saysThatTheFolderIsNoModel() {
    assertThatThrownBy(() -> LlamaConfig.read(folder))
        .hasMessage(
            "Cannot use the teacher "
                + folder
                + " because it has no config.json. Set kklip.teacher.path to the Hugging Face"
                + " folder of a Llama model.");
  }

  @Test
  void refusesALayerThatIsNotThere() throws IOException {
    LlamaConfig config = read("{" + LLAMA_2_7B + "}");
    assertThat(Llama.layers(config, -1)).isEqualTo(32);
    assertThat(Llama.layers(config, 0)).isZero();
    assertThatThrownBy(() -> Llama.layers(config, 33))
        .hasMessage(
            "Cannot give hidden state 33 because the teacher has 32 layers. Set kklip.teacher.layer"
                + " to at most that, or to -1 for the last.");
  }

  private LlamaConfig read(String json) throws IOException {
    Files.writeString(folder.resolve("config.json"), json.replace('\'', '"'));
    return LlamaConfig.read(folder);
  }
}
