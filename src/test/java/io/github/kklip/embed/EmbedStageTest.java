package io.github.kklip.embed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.offset;

import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.Identity;
import io.github.kklip.store.ManifestFiles;
import io.github.kklip.store.Pair;
import io.github.kklip.store.ProcessingSettings;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Split;
import io.github.kklip.store.TeacherManifest;
import io.github.kklip.store.TestDataset;
import io.github.kklip.store.Vector;
import io.github.kklip.store.VectorStorage;
import io.github.kklip.store.shards.ShardReader;
import io.github.kklip.store.shards.VectorFormat;
import io.github.kklip.teacher.CaptionEmbedder;
import io.github.kklip.teacher.RandomLlama;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EmbedStageTest {
  private static final Configuration CONFIGURATION = new Configuration();
  private static final int HIDDEN = 32;
  private static JavaSparkContext spark;

  @TempDir Path folder;
  private DatasetFolder dataset;

  @BeforeAll
  static void start() {
    spark =
        new JavaSparkContext(
            new SparkConf()
                .setMaster("local[2]")
                .setAppName("embed")
                .set("spark.ui.enabled", "false")
                .set("spark.driver.bindAddress", "127.0.0.1")
                .set("spark.driver.host", "127.0.0.1"));
  }

  @AfterAll
  static void stop() {
    spark.stop();
  }

  @BeforeEach
  void prepare() throws IOException {
    dataset = new DatasetFolder(folder.resolve("dataset").toString(), CONFIGURATION);
    RandomLlama.write(
        folder.resolve("llama"), 5, List.of("red", "green", "square", "circle"), HIDDEN, 2);
    generations(1);
  }

  @Test
  void whatIsWholeNeedsNoTeacherAnyMore() throws IOException {
    EmbedStage.EmbedResult made = EmbedStage.run(spark, settings());
    EmbedStage.EmbedResult again =
        EmbedStage.run(spark, settings("teacher.path=" + folder + "/gone"));
    assertThat(again.embedded()).isZero();
    assertThat(again.captions()).isEqualTo(made.captions());
    assertThat(again.dimension()).isEqualTo(HIDDEN);
    assertThatThrownBy(
            () ->
                EmbedStage.run(
                    spark, settings("teacher.path=" + folder + "/gone", "teacher.pooling=last")))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("teacher.pooling was mean and is now last");
    generations(2);
    assertThatThrownBy(() -> EmbedStage.run(spark, settings("teacher.path=" + folder + "/gone")))
        .hasMessageContaining("because there is no such folder");
  }

  @Test
  void embedsEveryCaptionInOrder() throws IOException {
    EmbedStage.EmbedResult result = EmbedStage.run(spark, settings());
    assertThat(result.captions()).isEqualTo(45);
    assertThat(result.embedded()).isEqualTo(45);
    assertThat(result.captionsPerSecond()).isPositive();
    assertThat(result.executors()).isBetween(1, 2);
    assertThat(result.captionsPerSecondOfAnExecutor() * result.executors())
        .isCloseTo(result.captionsPerSecond(), offset(1e-6));
    assertThat(result.dimension()).isEqualTo(HIDDEN);
    TeacherManifest manifest = dataset.requireManifest().teachers().get("llama");
    assertThat(manifest.files()).containsOnlyKeys(identities(1));
    assertThat(manifest.meanRows()).isEqualTo(40);
    double[] sum = new double[HIDDEN];
    for (Shard shard : shards(1)) {
      List<Vector> vectors = read(shard, manifest);
      assertThat(vectors).extracting(Vector::id).isEqualTo(ids(shard));
      if (shard.split() == Split.TRAIN) {
        for (Vector vector : vectors) {
          for (int j = 0; j < HIDDEN; j++) {
            sum[j] += vector.values()[j];
          }
        }
      }
    }
    for (int j = 0; j < HIDDEN; j++) {
      assertThat(manifest.mean().get(j)).isCloseTo(sum[j] / 40, offset(1e-12));
    }
  }

  @Test
  void goesOnWithWhatIsMissing() throws IOException {
    EmbedStage.run(spark, settings());
    byte[] before = manifestBytes();
    Shard lost = shards(1).get(1);
    Path file =
        Path.of(
            dataset
                .file(
                    dataset.requireManifest().teachers().get("llama").files().get(lost.identity()))
                .toUri());
    byte[] whole = Files.readAllBytes(file);
    Files.delete(file);
    assertThat(EmbedStage.run(spark, settings()).embedded()).isEqualTo(lost.rows());
    assertThat(Files.readAllBytes(file)).isEqualTo(whole);
    assertThat(manifestBytes()).isEqualTo(before);
    assertThat(EmbedStage.run(spark, settings()).embedded()).isZero();

    // Interrupted before the manifest, with a file cut short.
    Files.delete(
        Path.of(ManifestFiles.file(dataset.root(), dataset.requireManifest().number()).toUri()));
    Files.write(file, java.util.Arrays.copyOf(whole, whole.length / 2));
    assertThat(EmbedStage.run(spark, settings()).embedded()).isEqualTo(lost.rows());
    assertThat(Files.readAllBytes(file)).isEqualTo(whole);
    assertThat(manifestBytes()).isEqualTo(before);
  }

  @Test
  void newShardsLeaveTheMean() throws IOException {
    EmbedStage.run(spark, settings());
    TeacherManifest before = dataset.requireManifest().teachers().get("llama");
    generations(2);
    assertThat(EmbedStage.run(spark, settings()).embedded()).isEqualTo(45);
    TeacherManifest after = dataset.requireManifest().teachers().get("llama");
    assertThat(after.files()).containsOnlyKeys(identities(2));
    assertThat(after.mean()).isEqualTo(before.mean());
    assertThat(after.meanRows()).isEqualTo(40);
  }

  /** The statements of docs/dataset.md. */
  @Test
  void sparkMakesNumbersOfTheBytes() throws IOException {
    String docs = Files.readString(Path.of("docs", "dataset.md"));
    List<String> statements =
        docs.lines().filter(line -> line.startsWith("SELECT id, transform(")).toList();
    assertThat(statements).hasSize(2);
    SparkSession session = SparkSession.builder().sparkContext(spark.sc()).getOrCreate();
    Shard shard = shards(1).get(0);
    for (VectorStorage storage : List.of(VectorStorage.FLOAT16, VectorStorage.FLOAT32)) {
      String name = storage.keyword();
      EmbedStage.run(spark, settings("teacher.storage=" + name, "teacher.name=" + name));
      TeacherManifest manifest = dataset.requireManifest().teachers().get(name);
      org.apache.hadoop.fs.Path path = dataset.file(manifest.files().get(shard.identity()));
      String file = path.toString();
      session.read().parquet(file).createOrReplaceTempView("vectors");
      Map<String, List<Float>> found = new HashMap<>();
      session
          .sql(statements.get(storage == VectorStorage.FLOAT16 ? 0 : 1))
          .collectAsList()
          .forEach(row -> found.put(row.getString(0), List.copyOf(row.<Float>getList(1))));
      try (ShardReader<Vector> reader =
          ShardReader.open(
              CONFIGURATION, path, VectorFormat.AS_STORED, shard, manifest.settings().digest())) {
        List<Vector> vectors = reader.readGroup(0);
        assertThat(found).hasSameSizeAs(vectors);
        for (Vector vector : vectors) {
          List<Float> values = new ArrayList<>();
          for (float value : vector.values()) {
            values.add(value);
          }
          assertThat(found).containsEntry(vector.id(), values);
        }
      }
    }
  }

  @Test
  void vectorsAreHalvesUnlessFloat32IsAskedFor() {
    assertThat(CaptionEmbedder.storage(Settings.load(List.of(), List.of()).teacher()))
        .isEqualTo(VectorStorage.FLOAT16);
    assertThat(CaptionEmbedder.storage(settings().teacher())).isEqualTo(VectorStorage.FLOAT32);
  }

  @Test
  void refusesOtherSettings() throws IOException {
    EmbedStage.run(spark, settings());
    assertThatThrownBy(() -> EmbedStage.run(spark, settings("teacher.pooling=last")))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("teacher.pooling was mean and is now last");
    RandomLlama.write(folder.resolve("llama"), 6, List.of("red"), HIDDEN, 2);
    assertThatThrownBy(() -> EmbedStage.run(spark, settings()))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("teacher.path (identity of its files) was ");
    // Another name is another set of embeddings.
    assertThat(EmbedStage.run(spark, settings("teacher.name=other", "teacher.storage=float16")))
        .extracting(EmbedStage.EmbedResult::embedded)
        .isEqualTo(45L);
  }

  @Test
  void saysWhatIsWrongBeforeAnyTask() {
    assertThatThrownBy(() -> EmbedStage.run(spark, settings("teacher.path=" + folder)))
        .hasMessageContaining("because it has no config.json");
    assertThatThrownBy(() -> EmbedStage.run(spark, settings("teacher.path=" + folder + "/x")))
        .hasMessageContaining("because there is no such folder");
    assertThatThrownBy(() -> EmbedStage.run(spark, settings("teacher.layer=3")))
        .hasMessageContaining("Cannot give hidden state 3");
    assertThatThrownBy(() -> EmbedStage.run(spark, settings("teacher.path=")))
        .hasMessageContaining("Cannot go on without kklip.teacher.path");
  }

  private Settings settings(String... assignments) {
    List<String> all =
        new ArrayList<>(
            List.of(
                "dataset=" + folder + "/dataset",
                "teacher.path=" + folder + "/llama",
                "teacher.storage=float32"));
    all.addAll(List.of(assignments));
    return Settings.load(List.of(), all);
  }

  private byte[] manifestBytes() throws IOException {
    return TestDataset.newest(dataset);
  }

  private List<Vector> read(Shard shard, TeacherManifest manifest) throws IOException {
    List<Vector> vectors = new ArrayList<>();
    try (ShardReader<Vector> reader =
        ShardReader.open(
            CONFIGURATION,
            dataset.file(manifest.files().get(shard.identity())),
            VectorFormat.AS_STORED,
            shard,
            manifest.settings().digest())) {
      for (int group = 0; group < reader.rowGroups(); group++) {
        vectors.addAll(reader.readGroup(group));
      }
    }
    return vectors;
  }

  /** A dataset of so many generations, each of 20 + 20 training and 5 validation rows. */
  private void generations(int count) throws IOException {
    List<DatasetManifest.Generation> generations = new ArrayList<>();
    for (int g = 0; g < count; g++) {
      List<Shard> shards =
          List.of(
              shard(Split.TRAIN, 2 * g, 20),
              shard(Split.TRAIN, 2 * g + 1, 20),
              shard(Split.VALIDATION, g, 5));
      generations.add(TestDataset.generation(shards));
    }
    TestDataset.commit(
        dataset, new ProcessingSettings(new TreeMap<>(Map.of("seed", "0"))), generations);
  }

  private List<Shard> shards(int generations) throws IOException {
    List<Shard> shards = dataset.requireManifest().shards();
    assertThat(shards).hasSize(3 * generations);
    return shards;
  }

  private Shard shard(Split split, int index, int rows) throws IOException {
    List<Pair> pairs = new ArrayList<>();
    for (int row = 0; row < rows; row++) {
      pairs.add(pair(split, index, row));
    }
    return TestDataset.pairs(dataset, split, index, pairs, 8);
  }

  private String[] identities(int generations) throws IOException {
    return shards(generations).stream().map(Shard::identity).toArray(String[]::new);
  }

  private static List<String> ids(Shard shard) {
    List<String> ids = new ArrayList<>();
    for (int row = 0; row < shard.rows(); row++) {
      ids.add(pair(shard.split(), shard.index(), row).id());
    }
    return ids;
  }

  /** Every third caption of a shard is the same. */
  private static Pair pair(Split split, int index, int row) {
    byte[] image = (split + "-" + index + "-" + row).getBytes(StandardCharsets.UTF_8);
    String imageId = Identity.ofImage(image);
    String caption = row % 3 == 0 ? "red square" : "green circle " + "red ".repeat(row) + index;
    return new Pair(Identity.ofPair(imageId, caption), imageId, caption, image, 1, 1, "test");
  }
}
