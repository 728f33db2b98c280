package io.github.kklip.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.kklip.config.ElementType;
import io.github.kklip.safetensors.Safetensors;
import io.github.kklip.safetensors.SafetensorsWriter;
import io.github.kklip.tensor.Torch;
import io.github.kklip.text.StudentTokenizer;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Against the folder and the embeddings that {@code export_golden.py} made with transformers. */
class ClipWeightsTest {
  private static final Path GOLDEN = Path.of("src/test/resources/golden/export");
  private static final Path FOLDER = GOLDEN.resolve("clip");
  private static final double[] MEAN = {0.48145466, 0.4578275, 0.40821073};
  private static final double[] DEVIATION = {0.26862954, 0.26130258, 0.27577711};

  @TempDir Path folder;
  private NDManager manager;

  @BeforeEach
  void open() {
    Torch.start(1);
    manager = Torch.manager();
  }

  @AfterEach
  void close() {
    manager.close();
  }

  private ClipModel loaded(ClipModel.Heads heads) throws IOException {
    ClipConfig config = ClipConfig.read(FOLDER.toString());
    ClipModel model =
        new ClipModel(manager, config, heads, ElementType.FLOAT32, ElementType.FLOAT32);
    model.initialise(1);
    ClipWeights.load(model, List.of(FOLDER));
    return model;
  }

  @Test
  void embedsAsTransformersDoes() throws IOException {
    JsonNode golden = new ObjectMapper().readTree(GOLDEN.resolve("embeddings.json").toFile());
    ClipModel model = loaded(ClipModel.Heads.NONE);
    ClipConfig config = model.config();
    List<int[]> captions = new ArrayList<>();
    try (StudentTokenizer tokenizer = StudentTokenizer.load(FOLDER)) {
      golden
          .get("texts")
          .forEach(text -> captions.add(tokenizer.encode(text.asText(), config.text().context())));
    }
    assertClose(
        model.textFeatures(manager, Tokens.of(manager, config.text(), captions)),
        golden.get("text"));

    // The picture that has the model's size already: only normalisation remains.
    BufferedImage image = ImageIO.read(GOLDEN.resolve("exact.png").toFile());
    float[] pixels = new float[3 * 32 * 32];
    for (int i = 0; i < pixels.length; i++) {
      int channel = i / (32 * 32);
      int rgb = image.getRGB(i % 32, i / 32 % 32);
      int value = rgb >> (16 - 8 * channel) & 0xff;
      pixels[i] = (float) ((value / 255.0 - MEAN[channel]) / DEVIATION[channel]);
    }
    NDArray batch = manager.create(pixels, new Shape(1, 3, 32, 32));
    int exact = 1;
    assertThat(golden.get("images").get(exact).asText()).isEqualTo("exact.png");
    assertClose(
        model.imageFeatures(manager, batch),
        new ObjectMapper().createArrayNode().add(golden.get("image").get(exact)));
  }

  private static void assertClose(NDArray features, JsonNode expected) {
    float[] actual = Torch.floats(features);
    int width = expected.get(0).size();
    assertThat(actual).hasSize(expected.size() * width);
    for (int i = 0; i < actual.length; i++) {
      assertThat((double) actual[i])
          .as("element %s", i)
          .isCloseTo(expected.get(i / width).get(i % width).asDouble(), within(1e-5));
    }
  }

  /** open_clip's conversions and some trainers keep the number in a vector of one. */
  @ParameterizedTest
  @CsvSource({"1, true", "2, false"})
  void readsALogitScaleInAVectorOfOne(int length, boolean read) throws IOException {
    ClipModel model = loaded(ClipModel.Heads.NONE);
    double scale = Torch.scalar(model.parameters().tensor(ClipModel.LOGIT_SCALE));
    Safetensors golden = Safetensors.open(FOLDER);
    SafetensorsWriter writer = new SafetensorsWriter();
    for (String name : golden.names()) {
      if (name.equals(ClipModel.LOGIT_SCALE)) {
        float[] numbers = new float[length];
        Arrays.fill(numbers, (float) scale + 1);
        writer.add(name, numbers, length);
      } else {
        writer.add(name, golden.entry(name).type(), golden.entry(name).shape(), golden.bytes(name));
      }
    }
    Path weights = write(writer, "weights.safetensors");
    if (read) {
      ClipWeights.load(model, List.of(weights));
      assertThat(Torch.scalar(model.parameters().tensor(ClipModel.LOGIT_SCALE)))
          .isCloseTo(scale + 1, within(1e-6));
    } else {
      assertThatThrownBy(() -> ClipWeights.load(model, List.of(weights)))
          .hasMessageContaining("'logit_scale'")
          .hasMessageContaining("its shape is [2] and the model needs []");
    }
  }

  @Test
  void writesTheBytesThatItRead() throws IOException {
    ClipModel model = loaded(ClipModel.Heads.NONE);
    Path written = write(ClipWeights.model(model), "model.safetensors");
    assertThat(written).hasSameBinaryContentAs(FOLDER.resolve("model.safetensors"));
    assertThat(Safetensors.open(write(ClipWeights.heads(model), "heads.safetensors")).names())
        .isEmpty();
  }

  @Test
  void headsTravelInAFileOfTheirOwn() throws IOException {
    ClipModel.Heads heads = new ClipModel.Heads(7, 5, false);
    ClipModel model = loaded(heads);
    Path headsFile = write(ClipWeights.heads(model), "heads.safetensors");
    assertThat(Safetensors.open(headsFile).names())
        .containsExactlyInAnyOrder(
            ClipModel.EMBEDDING_HEAD, ClipModel.CONCEPT_HEAD, ClipModel.IMAGE_CONCEPT_HEAD);

    ClipModel other =
        new ClipModel(manager, model.config(), heads, ElementType.FLOAT32, ElementType.FLOAT32);
    other.initialise(2);
    ClipWeights.load(other, List.of(FOLDER, headsFile));
    assertThat(Torch.floats(other.parameters().data()))
        .isEqualTo(Torch.floats(model.parameters().data()));
  }

  @Test
  void refusesAnotherShapeAndMissingTensors() throws IOException {
    ClipModel tiny =
        new ClipModel(
            manager,
            ClipConfig.read("tiny"),
            ClipModel.Heads.NONE,
            ElementType.FLOAT32,
            ElementType.FLOAT32);
    assertThatThrownBy(() -> ClipWeights.load(tiny, List.of(FOLDER)))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("The weights belong to another configuration.");
    ClipModel model = loaded(new ClipModel.Heads(7, 5, true));
    Path headsFile = write(ClipWeights.heads(model), "heads.safetensors");
    assertThatThrownBy(() -> ClipWeights.load(model, List.of(headsFile)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("Cannot load a CLIP model, because tensors are missing: 78");
  }

  private Path write(SafetensorsWriter writer, String name) throws IOException {
    Path path = folder.resolve(name);
    try (OutputStream out = Files.newOutputStream(path)) {
      writer.writeTo(out);
    }
    return path;
  }
}
