package io.github.kklip.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.kklip.config.SettingsException;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PreprocessingTest {
  private static final int SIDE = 32;

  /** One of so many values is kept of what open_clip gives. */
  private static final int SAMPLE = 97;

  @TempDir Path folder;

  private Preprocessing read(String file, String json) throws IOException {
    Files.writeString(folder.resolve(file), json);
    return PreprocessorConfig.read(folder, SIDE);
  }

  private static FloatBuffer applied(Preprocessing how, String[] row) {
    Preprocess preprocess = new Preprocess(how);
    FloatBuffer out = FloatBuffer.allocate(preprocess.length());
    preprocess.apply(Golden.pattern(Integer.parseInt(row[1]), Integer.parseInt(row[2])), out, 0);
    return out;
  }

  @Test
  void isBitForBitWhatTransformersMakesByTheSameFile() throws IOException {
    for (String[] row : Golden.rows("preprocessing.tsv")) {
      Preprocessing how = read("preprocessor_config.json", row[0]);
      assertThat(Golden.digest(applied(how, row)))
          .as("%s of %s x %s", row[0], row[1], row[2])
          .isEqualTo(row[3]);
    }
  }

  @Test
  void makesOfOpenClipsConfigurationWhatOpenClipDoes() throws IOException {
    for (String[] row : Golden.rows("open_clip.tsv")) {
      FloatBuffer out =
          applied(read("open_clip_config.json", "{\"preprocess_cfg\": " + row[0] + "}"), row);
      String[] expected = row[3].split(",", -1);
      for (int i = 0; i < expected.length; i++) {
        assertThat((double) out.get(i * SAMPLE))
            .as("%s of %s x %s", row[0], row[1], row[2])
            .isCloseTo(Double.parseDouble(expected[i]), within(2e-6));
      }
    }
  }

  @Test
  void writesWhatItReads() throws IOException {
    for (String[] row : Golden.rows("preprocessing.tsv")) {
      Preprocessing how = read("preprocessor_config.json", row[0]);
      Files.write(folder.resolve("preprocessor_config.json"), how.json());
      assertThat(PreprocessorConfig.read(folder, SIDE)).as(row[0]).isEqualTo(how);
    }
  }

  @Test
  void aFolderThatSaysNothingHasThatOfClip() throws IOException {
    assertThat(PreprocessorConfig.read(folder, SIDE)).isEqualTo(Preprocessing.clip(SIDE));
    assertThat(read("open_clip_config.json", "{\"model_cfg\": {}}"))
        .isEqualTo(Preprocessing.clip(SIDE));
    // As CLIP's own folder has it.
    assertThat(
            read(
                "preprocessor_config.json",
                "{\"crop_size\": 32, \"do_center_crop\": true, \"feature_extractor_type\":"
                    + " \"CLIPFeatureExtractor\", \"resample\": 3, \"size\": 32}"))
        .isEqualTo(Preprocessing.clip(SIDE));
  }

  @Test
  void transformersFilesComeFirstAndTheNewestOfThemBefore() throws IOException {
    String own = "{\"size\": 32, \"crop_size\": 32, \"image_mean\": 0.25}";
    assertThat(read("open_clip_config.json", "{\"preprocess_cfg\": {\"mean\": 0.5}}").mean())
        .containsExactly(0.5, 0.5, 0.5);
    assertThat(read("preprocessor_config.json", own).mean()).containsExactly(0.25, 0.25, 0.25);
    assertThat(read("processor_config.json", "{\"processor_class\": \"CLIPProcessor\"}").mean())
        .as("an older processor_config.json does not hold the preprocessing")
        .containsExactly(0.25, 0.25, 0.25);
    assertThat(
            read(
                    "processor_config.json",
                    "{\"image_processor\": {\"size\": 32, \"crop_size\": 32, \"image_mean\": 0.75}}")
                .mean())
        .containsExactly(0.75, 0.75, 0.75);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "'resample': 0 | has resample = 0: of Pillow's filters 1 to 5 are done here",
        "'resample': 6 | has resample = 6",
        "'resample': 'bicubic' | has resample = \"bicubic\"",
        "'do_resize': false | has do_resize = false",
        "'do_center_crop': false | has do_center_crop = false: images would not become squares",
        "'do_pad': true | has do_pad = true",
        "'use_square_size': true | has use_square_size = true",
        "'do_rescale': 1 | has do_rescale = 1: it must be true or false",
        "'crop_size': 24 | has crop_size = 24: the model takes images of 32 pixels",
        "'crop_size': {'height': 32, 'width': 24} | has crop_size = {\"height\":32,\"width\":24}: the model takes squares",
        "'crop_size': null | has crop_size = null: the model takes images of 32 pixels",
        "'size': 24 | has size = 24: it is smaller than crop_size 32",
        "'size': {'shortest_edge': 32, 'longest_edge': 64} | has size = {\"shortest_edge\":32,\"longest_edge\":64}: only",
        "'size': {'height': 32, 'width': 40} | has size = {\"height\":32,\"width\":40}: the model takes squares",
        "'size': 32.5 | has size = 32.5: it must be of whole numbers from 1 to 16384",
        "'size': 1000000 | has size = 1000000",
        "'image_mean': [0.5, 0.5] | has image_mean = [0.5,0.5]: it must be of three numbers",
        "'image_mean': ['a', 0, 0] | has image_mean = [\"a\",0,0]: it must be of numbers",
        "'image_std': 0 | Cannot use image_std because",
        "'image_std': [1, 1e400, 1] | Cannot use image_std because",
        "'rescale_factor': -1 | Cannot use rescale_factor because",
        "'data_format': 'channels_last' | has data_format = \"channels_last\"",
        "'image_processor_type': 'ViTImageProcessor' | has image_processor_type = \"ViTImageProcessor\": only CLIPImageProcessor is read",
        "'feature_extractor_type': 'SiglipImageProcessor' | has feature_extractor_type = ",
      })
  void refusesWhatItDoesNotDoByNameAndValue(String field, String message) {
    String name = field.substring(0, field.indexOf(':') + 1);
    String json =
        List.of("'size': 32", "'crop_size': 32").stream()
                .filter(other -> !other.startsWith(name))
                .reduce("{", (before, other) -> before + other + ", ")
            + field
            + "}";
    assertThatThrownBy(() -> read("preprocessor_config.json", json.replace('\'', '"')))
        .isInstanceOf(SettingsException.class)
        .hasMessageStartingWith("Cannot use the ")
        .hasMessageContaining(folder + "/preprocessor_config.json")
        .hasMessageContaining(message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "'resize_mode': 'longest' | has resize_mode = \"longest\": only shortest and squash",
        "'interpolation': 'nearest' | has interpolation = \"nearest\"",
        "'mode': 'L' | has mode = \"L\"",
        "'size': 64 | has size = 64: the model takes images of 32 pixels",
        "'size': [32, 64] | has size = [32,64]: the model takes squares",
        "'std': [1, 2] | has std = [1,2]",
      })
  void refusesWhatItDoesNotDoOfOpenClipsToo(String field, String message) {
    String json = "{'preprocess_cfg': {" + field + "}}";
    assertThatThrownBy(() -> read("open_clip_config.json", json.replace('\'', '"')))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining(folder + "/open_clip_config.json")
        .hasMessageContaining(message);
  }

  @Test
  void aSizeThatIsNotSetIsThatOfClip() throws IOException {
    Files.writeString(folder.resolve("preprocessor_config.json"), "{\"image_mean\": 0.5}");
    assertThat(PreprocessorConfig.read(folder, 224).edge()).isEqualTo(224);
    assertThatThrownBy(() -> PreprocessorConfig.read(folder, 336))
        .hasMessageContaining("has crop_size = (not set): the model takes images of 336 pixels");
  }

  @Test
  void refusesAFileThatIsNotJson() {
    assertThatThrownBy(() -> read("preprocessor_config.json", "{\"size\": "))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("preprocessor_config.json because it is not JSON");
  }
}
