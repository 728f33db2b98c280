package io.github.kklip.export;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.kklip.config.ElementType;
import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.image.ImageDecoder;
import io.github.kklip.image.ImageRejectedException;
import io.github.kklip.image.Preprocess;
import io.github.kklip.image.Preprocessing;
import io.github.kklip.image.PreprocessorConfig;
import io.github.kklip.model.ClipConfig;
import io.github.kklip.model.ClipModel;
import io.github.kklip.model.ClipWeights;
import io.github.kklip.model.Tokens;
import io.github.kklip.safetensors.Safetensors;
import io.github.kklip.safetensors.SafetensorsWriter;
import io.github.kklip.store.publication.Json;
import io.github.kklip.tensor.Torch;
import io.github.kklip.text.StudentTokenizer;
import io.github.kklip.text.TokenizerException;
import io.github.kklip.train.checkpoint.TrainState;
import io.github.kklip.train.metrics.StepReport;
import io.github.kklip.train.plan.DerivedFiles;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HuggingFaceExportTest {
  /** Made by {@code export_golden.py}: what transformers writes and computes. */
  private static final Path GOLDEN = Path.of("src/test/resources/golden/export");

  private static final Path CLIP = GOLDEN.resolve("clip");
  private static final ObjectMapper JSON = new ObjectMapper();

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

  private static HuggingFaceExport.ExportResult export(Path model, Path path) throws IOException {
    return HuggingFaceExport.run(
        Settings.load(List.of(), List.of("export.model=" + model, "export.path=" + path)),
        new Configuration());
  }

  private static Map<String, byte[]> files(Path folder) throws IOException {
    Map<String, byte[]> files = new TreeMap<>();
    try (Stream<Path> paths = Files.list(folder)) {
      for (Path path : paths.toList()) {
        files.put(path.getFileName().toString(), Files.readAllBytes(path));
      }
    }
    return files;
  }

  private ClipModel model(ClipConfig config, ClipModel.Heads heads, long seed) {
    ClipModel model =
        new ClipModel(manager, config, heads, ElementType.FLOAT32, ElementType.FLOAT32);
    model.initialise(seed);
    return model;
  }

  /** A checkpoint as train writes it: a Hugging Face folder, heads, state, and a marker last. */
  private Path checkpoint(ClipModel model, String name) throws IOException {
    Path checkpoint = Files.createDirectories(folder.resolve(name));
    Files.writeString(checkpoint.resolve("config.json"), model.config().json());
    Files.copy(CLIP.resolve("tokenizer.json"), checkpoint.resolve("tokenizer.json"));
    write(ClipWeights.model(model), checkpoint.resolve("model.safetensors"));
    write(
        ClipWeights.heads(model).metadata("teacher_mean_sha256", "ab"),
        checkpoint.resolve("kklip_heads.safetensors"));
    TrainState state =
        new TrainState(
            TrainState.FORMAT,
            3,
            3,
            0,
            0,
            true,
            new StepReport(3, 3, 1, 1, new TreeMap<>(), 2.6, 1e-3, 1, 0, 10, 0),
            new TreeMap<>(),
            new TreeMap<>(),
            List.of(),
            new DerivedFiles(new TreeMap<>(), new TreeMap<>(), ""));
    Files.write(checkpoint.resolve("state.json"), Json.pretty(state));
    ObjectNode marker = JSON.createObjectNode();
    ObjectNode listed = marker.putObject("files");
    for (Map.Entry<String, byte[]> file : files(checkpoint).entrySet()) {
      listed
          .putObject(file.getKey())
          .put("bytes", file.getValue().length)
          .put("sha256", sha256(file.getValue()));
    }
    Files.writeString(checkpoint.resolve("checkpoint.json"), marker.toString());
    return checkpoint;
  }

  private static String sha256(byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (java.security.NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }

  private static void write(SafetensorsWriter writer, Path path) throws IOException {
    try (OutputStream out = Files.newOutputStream(path)) {
      writer.writeTo(out);
    }
  }

  /** Features of the golden texts and pictures, by the folder's own files alone. */
  private void assertEmbeds(Path exported, JsonNode expected, double tolerance)
      throws IOException, ImageRejectedException {
    ClipConfig config = ClipConfig.read(exported.toString());
    ClipModel model = model(config, ClipModel.Heads.NONE, 9);
    ClipWeights.load(model, List.of(exported));
    List<int[]> captions = new ArrayList<>();
    try (StudentTokenizer tokenizer = StudentTokenizer.load(exported)) {
      expected
          .get("texts")
          .forEach(text -> captions.add(tokenizer.encode(text.asText(), config.text().context())));
    }
    assertClose(
        model.textFeatures(manager, Tokens.of(manager, config.text(), captions)),
        expected.get("text"),
        tolerance);
    Preprocess preprocess =
        new Preprocess(PreprocessorConfig.read(exported, config.vision().image()));
    int images = expected.get("images").size();
    float[] pixels = new float[images * preprocess.length()];
    for (int i = 0; i < images; i++) {
      byte[] file = Files.readAllBytes(GOLDEN.resolve(expected.get("images").get(i).asText()));
      preprocess.apply(
          ImageDecoder.decode(file), FloatBuffer.wrap(pixels), i * preprocess.length());
    }
    int side = config.vision().image();
    assertClose(
        model.imageFeatures(manager, manager.create(pixels, new Shape(images, 3, side, side))),
        expected.get("image"),
        tolerance);
  }

  private static void assertClose(NDArray features, JsonNode expected, double tolerance) {
    float[] actual = Torch.floats(features);
    int width = expected.get(0).size();
    assertThat(actual).hasSize(expected.size() * width);
    for (int i = 0; i < actual.length; i++) {
      assertThat((double) actual[i])
          .as("element %s", i)
          .isCloseTo(expected.get(i / width).get(i % width).asDouble(), within(tolerance));
    }
  }

  /** The preprocessing is the model's, not CLIP's: an export of an export has it still. */
  @Test
  void takesAlongAPreprocessingThatIsNotThatOfClip() throws Exception {
    Path halves = GOLDEN.resolve("halves");
    Path model = folder.resolve("model");
    copy(CLIP, model);
    Files.copy(
        halves.resolve("preprocessor_config.json"),
        model.resolve("preprocessor_config.json"),
        StandardCopyOption.REPLACE_EXISTING);
    export(model, folder.resolve("first"));
    export(folder.resolve("first"), folder.resolve("second"));

    JsonNode expected = JSON.readTree(halves.resolve("embeddings.json").toFile());
    assertEmbeds(model, expected, 1e-4);
    assertEmbeds(folder.resolve("second"), expected, 1e-4);
    assertThat(JSON.readTree(folder.resolve("second/preprocessor_config.json").toFile()))
        .isEqualTo(JSON.readTree(halves.resolve("preprocessor_config.json").toFile()));

    Path checkpoint =
        checkpoint(model(ClipConfig.read(CLIP.toString()), ClipModel.Heads.NONE, 4), "run/a");
    export(checkpoint, folder.resolve("before"));
    assertThat(PreprocessorConfig.read(folder.resolve("before"), 32))
        .as("a checkpoint of before has none")
        .isEqualTo(Preprocessing.clip(32));
  }

  @Test
  void refusesAPreprocessingThatItCannotWrite() throws IOException {
    Path model = folder.resolve("model");
    copy(CLIP, model);
    Files.writeString(
        model.resolve("preprocessor_config.json"),
        "{\"size\": 32, \"crop_size\": 32, \"resample\": 0}");
    assertThatThrownBy(() -> export(model, folder.resolve("exported")))
        .hasMessageContaining("has resample = 0");
    assertThatThrownBy(
            () ->
                HuggingFaceExport.checkModel(
                    Settings.load(List.of(), List.of("export.model=" + model)),
                    new Configuration()))
        .hasMessageContaining("has resample = 0");
  }

  /** transformers refuses a logit_scale of another shape than that of a number. */
  @Test
  void writesTheLogitScaleAsANumber() throws Exception {
    Path model = folder.resolve("model");
    copy(CLIP, model);
    Safetensors clip = Safetensors.open(CLIP);
    SafetensorsWriter writer = new SafetensorsWriter().metadata("format", "pt");
    for (String name : clip.names()) {
      List<Long> shape =
          name.equals(ClipModel.LOGIT_SCALE) ? List.of(1L) : clip.entry(name).shape();
      writer.add(name, clip.entry(name).type(), shape, clip.bytes(name));
    }
    write(writer, model.resolve("model.safetensors"));
    export(model, folder.resolve("exported"));
    assertThat(folder.resolve("exported/model.safetensors"))
        .hasSameBinaryContentAs(CLIP.resolve("model.safetensors"));
  }

  @Test
  void writesAWholeTokenizerOfAVocabularyAndItsMerges() throws Exception {
    Path first = folder.resolve("first");
    export(CLIP, first);
    Files.delete(first.resolve("tokenizer.json"));
    Files.delete(first.resolve("tokenizer_config.json"));
    export(first, folder.resolve("second"));
    JsonNode expected = JSON.readTree(GOLDEN.resolve("embeddings.json").toFile());
    assertEmbeds(folder.resolve("second"), expected, 1e-4);
    assertThat(JSON.readTree(folder.resolve("second/tokenizer.json").toFile()).get("model"))
        .isEqualTo(JSON.readTree(CLIP.resolve("tokenizer.json").toFile()).get("model"));
  }

  private static void copy(Path from, Path to) throws IOException {
    Files.createDirectories(to);
    for (Map.Entry<String, byte[]> file : files(from).entrySet()) {
      Files.write(to.resolve(file.getKey()), file.getValue());
    }
  }

  @Test
  void givesBackTheFolderThatTransformersWrote() throws Exception {
    Path exported = folder.resolve("exported");
    HuggingFaceExport.ExportResult result = export(CLIP, exported);

    assertThat(result.heads()).isEmpty();
    assertThat(files(exported))
        .containsOnlyKeys(
            "config.json",
            "merges.txt",
            "model.safetensors",
            "preprocessor_config.json",
            "special_tokens_map.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "vocab.json");
    assertThat(exported.resolve("model.safetensors"))
        .hasSameBinaryContentAs(CLIP.resolve("model.safetensors"));
    assertThat(ClipConfig.read(exported.toString())).isEqualTo(ClipConfig.read(CLIP.toString()));
    for (String name : List.of("tokenizer.json", "preprocessor_config.json")) {
      assertThat(JSON.readTree(exported.resolve(name).toFile()))
          .as(name)
          .isEqualTo(JSON.readTree(CLIP.resolve(name).toFile()));
    }
    JsonNode tokenizer = JSON.readTree(exported.resolve("tokenizer_config.json").toFile());
    assertThat(tokenizer.get("model_max_length").asInt()).isEqualTo(24);
    assertEmbeds(exported, JSON.readTree(GOLDEN.resolve("embeddings.json").toFile()), 1e-4);
  }

  @Test
  void exportsACheckpointAndItsHeadsAndAnExportAsItself() throws IOException {
    ClipModel model = model(ClipConfig.read(CLIP.toString()), new ClipModel.Heads(7, 5, false), 4);
    Path checkpoint = checkpoint(model, "step");
    Path first = folder.resolve("first");
    HuggingFaceExport.ExportResult result = export(checkpoint, first);

    assertThat(result.source()).isEqualTo("file:" + checkpoint);
    assertThat(result.heads())
        .containsExactly(
            ClipModel.CONCEPT_HEAD, ClipModel.EMBEDDING_HEAD, ClipModel.IMAGE_CONCEPT_HEAD);
    assertThat(result.parameters())
        .isEqualTo(Safetensors.open(first.resolve("model.safetensors")).size() / 4);
    assertThat(first.resolve("kklip_heads.safetensors"))
        .hasSameBinaryContentAs(checkpoint.resolve("kklip_heads.safetensors"));
    JsonNode heads = JSON.readTree(first.resolve("kklip_heads.json").toFile()).get("heads");
    assertThat(heads.get(1).get("tensor").asText()).isEqualTo(ClipModel.EMBEDDING_HEAD);
    assertThat(heads.get(1).get("symbol").asText()).isEqualTo("W_e");
    assertThat(heads.get(1).get("shape").toString()).isEqualTo("[12,7]");

    // Imported, all weights are those that were trained.
    ClipModel imported = model(model.config(), model.heads(), 5);
    ClipWeights.load(imported, List.of(first, first.resolve("kklip_heads.safetensors")));
    assertThat(Torch.floats(imported.parameters().data()))
        .isEqualTo(Torch.floats(model.parameters().data()));

    Path second = folder.resolve("second");
    export(first, second);
    assertThat(files(second)).containsExactlyEntriesOf(files(first));

    // Over an older export: the heads that this model lacks go.
    export(checkpoint(model(model.config(), ClipModel.Heads.NONE, 6), "plain"), second);
    assertThat(files(second)).doesNotContainKeys("kklip_heads.safetensors", "kklip_heads.json");
  }

  @Test
  void refusesWhatIsNoModelAndAFolderWithSomethingElse() throws IOException {
    Path empty = Files.createDirectory(folder.resolve("empty"));
    assertThatThrownBy(() -> export(empty, folder.resolve("out")))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("Cannot find a whole checkpoint in ");
    Files.writeString(empty.resolve("thesis.tex"), "mine");
    assertThatThrownBy(() -> export(CLIP, empty))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("because the folder holds something else: thesis.tex");
    assertThat(files(empty)).containsOnlyKeys("thesis.tex");
  }

  @Test
  void refusesATokenizerThatIsNotTheModels() throws IOException {
    ClipConfig config = ClipConfig.read(CLIP.toString()).withVocabulary(600);
    Path checkpoint = checkpoint(model(config, ClipModel.Heads.NONE, 1), "step");
    assertThatThrownBy(() -> export(checkpoint, folder.resolve("out")))
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining("ends captions with id 554 and the student pools at id 599");
  }

  /** With the variable KKLIP_PEER_PYTHON naming a Python that has torch and transformers. */
  @Test
  void transformersLoadsAnExportAndEmbedsAsWeDo() throws Exception {
    String python = System.getenv("KKLIP_PEER_PYTHON");
    Assumptions.assumeTrue(python != null, "KKLIP_PEER_PYTHON is not set.");
    ClipModel model = model(ClipConfig.read(CLIP.toString()), new ClipModel.Heads(7, 5, true), 4);
    Path exported = folder.resolve("exported");
    export(checkpoint(model, "step"), exported);
    Path out = folder.resolve("embeddings.json");
    Process process =
        new ProcessBuilder(
                python,
                "src/test/python/export_golden.py",
                "embed",
                exported.toString(),
                GOLDEN.toString())
            .redirectOutput(out.toFile())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    assertThat(process.waitFor(5, TimeUnit.MINUTES)).isTrue();
    assertThat(process.exitValue()).isZero();
    assertEmbeds(exported, JSON.readTree(out.toFile()), 1e-4);
  }
}
