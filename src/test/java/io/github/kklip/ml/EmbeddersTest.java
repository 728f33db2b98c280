package io.github.kklip.ml;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Device;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.config.TeacherSettings;
import io.github.kklip.eval.Embedder;
import io.github.kklip.image.ImageDecoder;
import io.github.kklip.teacher.CaptionEmbedder;
import io.github.kklip.teacher.RandomLlama;
import io.github.kklip.tensor.Torch;
import io.github.kklip.text.StudentTokenizer;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;
import org.apache.spark.ml.Pipeline;
import org.apache.spark.ml.PipelineModel;
import org.apache.spark.ml.PipelineStage;
import org.apache.spark.ml.linalg.Vector;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The transformers give what the classes under the jobs give, and lose no row. */
class EmbeddersTest {
  private static final Path CLIP = Path.of("src/test/resources/golden/export/clip");
  private static final List<String> CAPTIONS =
      List.of("a red circle", "red", "a circle on a square", "a red circle", "square");

  private static SparkSession spark;

  @TempDir Path folder;

  @BeforeAll
  static void start() {
    spark =
        SparkSession.builder()
            .master("local[2]")
            .appName("ml tests")
            .config("spark.ui.enabled", "false")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .getOrCreate();
  }

  @AfterAll
  static void stop() {
    spark.stop();
  }

  private static Dataset<Row> table(String column, DataType type, List<?> values) {
    StructType schema = new StructType().add("row", DataTypes.IntegerType).add(column, type);
    List<Row> rows =
        IntStream.range(0, values.size())
            .mapToObj(i -> RowFactory.create(i, values.get(i)))
            .toList();
    return spark.createDataFrame(rows, schema).repartition(2);
  }

  private static List<float[]> embeddings(Dataset<Row> embedded) {
    return embedded.orderBy("row").collectAsList().stream()
        .map(row -> row.<Vector>getAs("embedding"))
        .map(vector -> vector == null ? null : floats(vector.toArray()))
        .toList();
  }

  private static float[] floats(double[] values) {
    float[] floats = new float[values.length];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = (float) values[i];
    }
    return floats;
  }

  private static void assertClose(float[] actual, float[] expected) {
    assertThat(actual).hasSameSizeAs(expected);
    for (int i = 0; i < actual.length; i++) {
      assertThat(actual[i]).isCloseTo(expected[i], org.assertj.core.data.Offset.offset(1e-5f));
    }
  }

  @Test
  void clipEmbedsCaptionsAndImagesIntoOneSpace() throws Exception {
    List<byte[]> images = List.of(square(0xFF0000), square(0x00FF00), square(0x0000FF));
    ClipEmbedder clip = new ClipEmbedder().setModel(CLIP.toString()).setBatchSize(2);
    List<float[]> captions =
        embeddings(
            clip.setInputCol("caption")
                .transform(table("caption", DataTypes.StringType, CAPTIONS)));
    List<float[]> pictures =
        embeddings(
            clip.setInputCol("image").transform(table("image", DataTypes.BinaryType, images)));

    try (StudentTokenizer tokenizer = StudentTokenizer.load(CLIP);
        Embedder direct = new Embedder(CLIP, tokenizer, 8, 1)) {
      float[] expected = direct.captions(CAPTIONS);
      float[] expectedImages =
          direct.images(
              List.of(
                  ImageDecoder.decode(images.get(0)),
                  ImageDecoder.decode(images.get(1)),
                  ImageDecoder.decode(images.get(2))));
      int dimension = direct.dimension();
      for (int i = 0; i < CAPTIONS.size(); i++) {
        assertClose(captions.get(i), part(expected, i, dimension));
      }
      for (int i = 0; i < images.size(); i++) {
        assertClose(pictures.get(i), part(expectedImages, i, dimension));
      }
    }
    assertThat(captions.get(0)).isNotEqualTo(captions.get(1));
    assertThat(norm(captions.get(0))).isCloseTo(1, org.assertj.core.data.Offset.offset(1e-5));
  }

  /** As transformers embeds the pictures with the folder's own preprocessing. */
  @Test
  void clipEmbedsByTheModelsPreprocessing() throws Exception {
    Path golden = CLIP.resolveSibling("halves");
    for (String name : List.of("config.json", "model.safetensors", "tokenizer.json")) {
      Files.copy(CLIP.resolve(name), folder.resolve(name));
    }
    Files.copy(
        golden.resolve("preprocessor_config.json"), folder.resolve("preprocessor_config.json"));
    JsonNode expected = new ObjectMapper().readTree(golden.resolve("embeddings.json").toFile());
    List<byte[]> files = new ArrayList<>();
    for (JsonNode name : expected.get("images")) {
      files.add(Files.readAllBytes(CLIP.resolveSibling(name.asText())));
    }
    List<float[]> pictures =
        embeddings(
            new ClipEmbedder()
                .setModel(folder.toString())
                .setInputCol("image")
                .transform(table("image", DataTypes.BinaryType, files)));
    for (int i = 0; i < files.size(); i++) {
      float[] features = new float[expected.get("image").get(i).size()];
      for (int j = 0; j < features.length; j++) {
        features[j] = (float) expected.get("image").get(i).get(j).asDouble();
      }
      double norm = norm(features);
      for (int j = 0; j < features.length; j++) {
        features[j] = (float) (features[j] / norm);
      }
      assertClose(pictures.get(i), features);
    }
  }

  @Test
  void whatCannotBeEmbeddedKeepsItsRow() throws Exception {
    List<byte[]> images = Arrays.asList(square(0xFF0000), new byte[] {1, 2, 3}, null);
    List<float[]> embedded =
        embeddings(
            new ClipEmbedder()
                .setModel(CLIP.toString())
                .setInputCol("image")
                .transform(table("image", DataTypes.BinaryType, images)));
    assertThat(embedded).hasSize(3);
    assertThat(embedded.get(0)).isNotNull();
    assertThat(embedded.subList(1, 3)).containsOnlyNulls();
  }

  @Test
  void llamaEmbedsAsTheJobDoesAlsoFromASavedPipeline() throws IOException {
    Path teacher = folder.resolve("llama");
    RandomLlama.write(teacher, 1, List.of("a", "red", "circle", "on", "square"), 64, 1);
    LlamaEmbedder llama =
        new LlamaEmbedder()
            .setTeacher(teacher.toString())
            .setPooling("last")
            .setInputCol("caption")
            .setBatchSize(2);
    Dataset<Row> table = table("caption", DataTypes.StringType, CAPTIONS);
    new Pipeline()
        .setStages(new PipelineStage[] {llama})
        .fit(table)
        .write()
        .overwrite()
        .save(folder.resolve("pipeline").toString());
    List<float[]> embedded =
        embeddings(PipelineModel.load(folder.resolve("pipeline").toString()).transform(table));

    TeacherSettings settings =
        Settings.load(List.of(), List.of("teacher.path=" + teacher, "teacher.pooling=last"))
            .teacher();
    Torch.start(1);
    try (CaptionEmbedder direct = CaptionEmbedder.open(teacher, settings, Device.cpu())) {
      List<float[]> expected = direct.embed(CAPTIONS);
      for (int i = 0; i < CAPTIONS.size(); i++) {
        assertClose(embedded.get(i), expected.get(i));
      }
    }
  }

  @Test
  void mistakesAreRefusedBeforeAnyTask() {
    Dataset<Row> table = table("caption", DataTypes.StringType, CAPTIONS);
    ClipEmbedder clip = new ClipEmbedder().setModel(CLIP.toString()).setInputCol("row");
    assertThatThrownBy(() -> clip.transform(table))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "Cannot embed the column row because it holds int. It must hold binary or string.");
    assertThatThrownBy(() -> clip.setInputCol("caption").setOutputCol("row").transform(table))
        .hasMessage("Cannot write the embeddings because there is a column row. Set outputCol.");
    assertThatThrownBy(
            () ->
                new LlamaEmbedder()
                    .setTeacher(folder.toString())
                    .setPooling("middle")
                    .setInputCol("caption")
                    .transform(table))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("teacher.pooling")
        .hasMessageContaining("middle");
    assertThatThrownBy(
            () ->
                new LlamaEmbedder()
                    .setTeacher(folder.toString())
                    .setInputCol("caption")
                    .transform(table))
        .hasMessageContaining("config.json");
  }

  private static float[] part(float[] all, int row, int dimension) {
    return Arrays.copyOfRange(all, row * dimension, (row + 1) * dimension);
  }

  private static double norm(float[] values) {
    double square = 0;
    for (float value : values) {
      square += (double) value * value;
    }
    return Math.sqrt(square);
  }

  private static byte[] square(int rgb) throws IOException {
    BufferedImage image = new BufferedImage(40, 30, BufferedImage.TYPE_INT_RGB);
    for (int x = 0; x < 40; x++) {
      for (int y = 0; y < 30; y++) {
        image.setRGB(x, y, rgb);
      }
    }
    ByteArrayOutputStream png = new ByteArrayOutputStream();
    ImageIO.write(image, "png", png);
    return png.toByteArray();
  }
}
