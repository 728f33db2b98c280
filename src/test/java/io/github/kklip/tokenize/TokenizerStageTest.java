package io.github.kklip.tokenize;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

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
import io.github.kklip.store.TestDataset;
import io.github.kklip.text.StudentTokenizer;
import io.github.kklip.text.TokenizerFolder;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenizerStageTest {
  private static final Configuration CONFIGURATION = new Configuration();
  private static JavaSparkContext spark;

  @TempDir Path folder;

  @BeforeAll
  static void start() {
    spark =
        new JavaSparkContext(
            new SparkConf()
                .setMaster("local[2]")
                .setAppName("tokenizer")
                .set("spark.ui.enabled", "false")
                .set("spark.driver.bindAddress", "127.0.0.1")
                .set("spark.driver.host", "127.0.0.1"));
  }

  @AfterAll
  static void stop() {
    spark.stop();
  }

  private Settings settings(String... assignments) {
    List<String> all = new ArrayList<>(List.of("dataset=" + folder, "tokenizer.vocab-size=700"));
    all.addAll(List.of(assignments));
    return Settings.load(List.of(), all);
  }

  private static List<String> captions() throws IOException {
    try (InputStream in =
        TokenizerStageTest.class.getResourceAsStream("/golden/tokenize/captions.txt")) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8).lines().toList();
    }
  }

  /** The captions over three training shards, and other ones in a validation shard. */
  private DatasetFolder write(List<String> captions) throws IOException {
    DatasetFolder dataset = new DatasetFolder(folder.toString(), CONFIGURATION);
    List<Shard> shards = new ArrayList<>();
    int size = (captions.size() + 2) / 3;
    for (int i = 0; i * size < captions.size(); i++) {
      int end = Math.min(captions.size(), (i + 1) * size);
      shards.add(shard(dataset, Split.TRAIN, i, captions.subList(i * size, end)));
    }
    shards.add(shard(dataset, Split.VALIDATION, 0, List.of("zzz zzz zzz qqq qqq qqq")));
    TestDataset.commit(
        dataset,
        new ProcessingSettings(new TreeMap<>(Map.of("seed", "0"))),
        List.of(TestDataset.generation(shards)));
    return dataset;
  }

  private static Shard shard(DatasetFolder dataset, Split split, int index, List<String> captions)
      throws IOException {
    List<Pair> pairs = new ArrayList<>();
    for (String caption : captions) {
      byte[] image = caption.getBytes(StandardCharsets.UTF_8);
      String imageId = Identity.ofImage(image);
      pairs.add(new Pair(Identity.ofPair(imageId, caption), imageId, caption, image, 1, 1, "test"));
    }
    return TestDataset.pairs(dataset, split, index, pairs, 16);
  }

  /** The only folder in the folder of tokenizers. */
  private Path tokenizer() throws IOException {
    try (Stream<Path> folders = Files.list(folder.resolve("tokenizer"))) {
      return folders.reduce((one, other) -> two(one, other)).orElseThrow();
    }
  }

  private static Path two(Path one, Path other) {
    throw new AssertionError(one + " and " + other);
  }

  private Map<String, String> files() throws IOException {
    Map<String, String> files = new TreeMap<>();
    try (Stream<Path> paths = Files.list(tokenizer())) {
      for (Path path : paths.toList()) {
        files.put(path.getFileName().toString(), Files.readString(path));
      }
    }
    return files;
  }

  @Test
  void learnsFromTheTrainingCaptionsWhateverTheShards() throws IOException {
    List<String> captions = captions();
    write(captions);
    TokenizerStage.TokenizerResult result = TokenizerStage.run(spark, settings());

    BytePairVocabulary expected;
    try (CaptionWords words = new CaptionWords()) {
      captions.forEach(words::add);
      expected = BytePairTraining.learn(words.counts(), 700, 2);
      assertThat(result.words()).isEqualTo(words.counts().size());
    }
    assertThat(result.captions()).isEqualTo(captions.size());
    assertThat(result.vocabSize()).isEqualTo(expected.size());
    assertThat(result.reused()).isFalse();
    assertThat(result.output()).endsWith(tokenizer().toString());
    Map<String, String> files = files();
    assertThat(files)
        .containsOnlyKeys(
            "merges.txt",
            "special_tokens_map.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "vocab.json");
    TokenizerFolder.files(TokenizerJson.of(expected).toString(), 0)
        .forEach(
            (name, bytes) ->
                assertThat(files.get(name))
                    .as(name)
                    .isEqualTo(new String(bytes, StandardCharsets.UTF_8)));
    try (StudentTokenizer tokenizer = StudentTokenizer.load(result.output(), CONFIGURATION)) {
      tokenizer.checkFits(700, expected.endId());
    }
  }

  @Test
  void aDamagedFileIsRefusedByItsName() throws IOException {
    DatasetFolder dataset = write(captions());
    TokenizerStage.run(spark, settings());
    DatasetManifest manifest = dataset.requireManifest();
    for (String name : files().keySet()) {
      Path file = tokenizer().resolve(name);
      byte[] whole = Files.readAllBytes(file);
      byte[] damaged = whole.clone();
      damaged[damaged.length / 2] ^= 1;
      Files.write(file, damaged);
      assertThatThrownBy(() -> dataset.requireTokenizer(manifest))
          .isInstanceOf(IOException.class)
          .hasMessageContaining("Cannot use the tokenizer file:" + tokenizer())
          .hasMessageContaining(name)
          .hasMessageContaining("bring the folder back from a copy");
      Files.write(file, whole);
    }
    assertThat(dataset.requireTokenizer(manifest).toString()).endsWith(tokenizer().toString());
  }

  @Test
  void keepsWhatIsWholeAndRefusesOtherSettings() throws IOException {
    DatasetFolder dataset = write(captions());
    TokenizerStage.run(spark, settings());
    Map<String, String> before = files();

    assertThat(TokenizerStage.run(spark, settings()).reused()).isTrue();
    assertThat(files()).isEqualTo(before);
    assertThatThrownBy(() -> TokenizerStage.run(spark, settings("tokenizer.min-frequency=3")))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("the tokenizer file:" + tokenizer())
        .hasMessageContaining("tokenizer.min-frequency was 2 and is now 3");

    // Killed before the manifest was written: the next run makes the same files.
    Files.delete(
        Path.of(ManifestFiles.file(dataset.root(), dataset.requireManifest().number()).toUri()));
    Files.writeString(tokenizer().resolve("merges.txt"), "cut");
    assertThat(TokenizerStage.run(spark, settings()).reused()).isFalse();
    assertThat(files()).isEqualTo(before);
  }

  @Test
  void refusesADatasetWithoutTrainingPairsAndAMissingOne() throws IOException {
    assertThatThrownBy(() -> TokenizerStage.run(spark, settings()))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("Cannot use the dataset");
    write(List.of());
    assertThatThrownBy(() -> TokenizerStage.run(spark, settings()))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining(
            "Cannot train a tokenizer because the dataset has no training pairs: ");
  }

  @Test
  void refusesAShardThatIsNotTheOneOfTheManifest() throws IOException {
    DatasetFolder dataset = write(captions());
    Shard other = shard(dataset, Split.TRAIN, 1, List.of("another caption"));
    Shard named = dataset.requireManifest().shards(Split.TRAIN).get(1);
    Files.move(
        Path.of(dataset.pairs(other).toUri()),
        Path.of(dataset.pairs(named).toUri()),
        StandardCopyOption.REPLACE_EXISTING);
    assertThatThrownBy(() -> TokenizerStage.run(spark, settings()))
        .hasMessageContaining(".parquet because it has 1 rows and the manifest says 75");
  }
}
