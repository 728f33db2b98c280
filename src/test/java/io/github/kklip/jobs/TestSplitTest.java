package io.github.kklip.jobs;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.config.Settings;
import io.github.kklip.ingest.IngestResult;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.RegisteredRun;
import io.github.kklip.store.Split;
import io.github.kklip.upkeep.CleanResult;
import io.github.kklip.upkeep.CleanStage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A published split that comes to a dataset with all that is derived from it. */
class TestSplitTest {
  private static SparkSession spark;
  @TempDir Path folder;

  @BeforeAll
  static void open() {
    spark =
        SparkSession.builder()
            .master("local[2]")
            .config("spark.ui.enabled", "false")
            .config("spark.driver.host", "127.0.0.1")
            .getOrCreate();
  }

  @AfterAll
  static void close() {
    spark.stop();
  }

  private static NightlyDataset data(Path folder) throws IOException {
    return new NightlyDataset(spark, Files.createDirectories(folder));
  }

  /** Each column of all rows of a kind as text, by id; an id is there once. */
  private static Map<String, String> rows(NightlyDataset data, String kind) throws IOException {
    Map<String, String> rows = new TreeMap<>();
    for (Row row :
        spark
            .read()
            .parquet(data.kklip().files(kind).paths().toArray(String[]::new))
            .selectExpr("id", "struct(*) as row")
            .selectExpr("id", "to_json(row)")
            .collectAsList()) {
      assertThat(rows.put(row.getString(0), row.getString(1))).isNull();
    }
    return rows;
  }

  private static void copy(Path from, Path to, int first, int end) throws IOException {
    Files.createDirectories(to);
    for (int i = first; i < end; i++) {
      for (String ending : List.of(".png", ".txt")) {
        Files.copy(from.resolve(i + ending), to.resolve(i + ending));
      }
    }
  }

  private static IngestResult ingestTest(NightlyDataset data, Path images, String... more)
      throws IOException {
    return data.kklip()
        .set(
            "ingest.sources",
            "[{ format = folder, path = \""
                + images
                + "\", split = test }"
                + String.join("", more)
                + "]")
        .ingest();
  }

  @Test
  void rowsThatMoveToTestLeaveAllThatIsDerivedInOneCommit() throws IOException {
    NightlyDataset other = data(folder.resolve("other"));
    other.night(3);
    NightlyDataset data = data(folder.resolve("data"));
    data.night(40);
    data.kklip().tokenizer();
    data.kklip().embed();
    data.kklip().cluster();
    DatasetManifest before = data.dataset().requireManifest();
    Path run = Files.createDirectories(folder.resolve("run"));
    new RegisteredRun("file:" + run, before.number()).register(data.dataset());
    List<String> kinds = List.of("pairs", "teachers/llama", "concepts/concepts");
    Map<String, Map<String, String>> rows = new TreeMap<>();
    for (String kind : kinds) {
      rows.put(kind, rows(data, kind));
    }
    Path published = folder.resolve("published");
    copy(data.night0(), published, 5, 12);
    for (int i = 0; i < 3; i++) {
      Files.copy(other.night0().resolve(i + ".png"), published.resolve("new" + i + ".png"));
      Files.copy(other.night0().resolve(i + ".txt"), published.resolve("new" + i + ".txt"));
    }

    IngestResult result = ingestTest(data, published);

    assertThat(result.pairs()).isEqualTo(10);
    assertThat(result.leftOut()).isEqualTo(7);
    DatasetManifest after = data.dataset().requireManifest();
    assertThat(after.number()).isEqualTo(before.number() + 1);
    assertThat(after.totals().test()).isEqualTo(10);
    assertThat(after.totals().pairs()).isEqualTo(43);
    assertThat(after.totals().reasons()).containsEntry("in-test-split", 7L);
    assertThat(after.teachers().get("llama").mean())
        .isEqualTo(before.teachers().get("llama").mean());
    Map<String, String> test = rows(data, "pairs/test");
    assertThat(test).hasSize(10);
    for (String kind : List.of("teachers/llama", "concepts/concepts")) {
      rows.get(kind).keySet().removeAll(test.keySet());
      assertThat(rows.get(kind)).hasSize(33);
      assertThat(rows(data, kind)).isEqualTo(rows.get(kind));
    }

    // Only test is new to the stages after it.
    assertThat(data.kklip().embed().embedded()).isEqualTo(10);
    assertThat(data.kklip().tokenizer().reused()).isTrue();
    var unused = data.kklip().cluster();
    for (String kind : kinds) {
      assertThat(rows(data, kind)).hasSize(43);
      assertThat(rows(data, kind + "/test").keySet()).isEqualTo(test.keySet());
    }
    assertThat(data.dataset().requireManifest().concepts().get("concepts").made())
        .isEqualTo(before.concepts().get("concepts").made());

    upkeep(data, kinds, test);
    // The run that began before it keeps its files.
    assertThat(data.dataset().present(before.files())).containsAll(before.files());
  }

  /** A takedown, a compaction and a cleaning of what has a test split. */
  private void upkeep(NightlyDataset data, List<String> kinds, Map<String, String> test)
      throws IOException {
    String id = test.keySet().iterator().next();
    Path ids = Files.write(folder.resolve("ids.txt"), List.of(id));
    String file = data.dataset().requireManifest().shards(Split.TEST).get(0).file();
    assertThat(data.kklip().remove(ids.toString()).rows()).isEqualTo(1);
    CleanResult cleaned =
        CleanStage.run(
            Settings.load(List.of(), List.of("dataset=" + data.root())),
            new Configuration(false),
            new CleanStage.Request(true, Optional.empty(), true));
    assertThat(cleaned.kinds()).containsEntry("pairs", 1L).containsEntry("embeddings", 1L);
    assertThat(cleaned.kinds()).doesNotContainKey("foreign");
    assertThat(data.dataset().present(List.of(file))).isEmpty();

    Map<String, Map<String, String>> before = new TreeMap<>();
    for (String kind : kinds) {
      before.put(kind + "/test", rows(data, kind + "/test"));
      before.put(kind + "/train", rows(data, kind + "/train"));
      assertThat(before.get(kind + "/test")).hasSize(9).doesNotContainKey(id);
    }
    DatasetManifest.Totals totals = data.dataset().requireManifest().totals();
    assertThat(data.kklip().compact().generations()).isEqualTo(2);
    assertThat(data.dataset().requireManifest().generations()).hasSize(1);
    assertThat(data.dataset().requireManifest().totals()).isEqualTo(totals);
    for (Map.Entry<String, Map<String, String>> kind : before.entrySet()) {
      assertThat(rows(data, kind.getKey())).isEqualTo(kind.getValue());
    }
  }

  /** Two datasets of the same sources, one with a test split beside them. */
  @Test
  void nothingIsLearnedFromTest() throws IOException {
    NightlyDataset images = data(folder.resolve("images"));
    images.night(50);
    Path train = folder.resolve("train");
    copy(images.night0(), train, 0, 40);
    Path test = folder.resolve("test");
    copy(images.night0(), test, 40, 50);
    for (int i = 40; i < 50; i++) {
      Files.writeString(test.resolve(i + ".txt"), "zebra zebra zebra zebra " + i);
    }
    NightlyDataset plain = data(folder.resolve("plain"));
    plain.again(train);
    NightlyDataset both = data(folder.resolve("both"));
    ingestTest(both, test, ", { format = folder, path = \"" + train + "\" }");
    for (NightlyDataset data : List.of(plain, both)) {
      data.kklip().tokenizer();
      data.kklip().embed();
      data.kklip().cluster();
    }

    DatasetManifest with = both.dataset().requireManifest();
    DatasetManifest without = plain.dataset().requireManifest();
    assertThat(with.totals().test()).isEqualTo(10);
    assertThat(with.shards(Split.TRAIN)).isEqualTo(without.shards(Split.TRAIN));
    assertThat(with.shards(Split.VALIDATION)).isEqualTo(without.shards(Split.VALIDATION));
    assertThat(with.tokenizer().folder()).isEqualTo(without.tokenizer().folder());
    assertThat(with.teachers().get("llama").mean())
        .isEqualTo(without.teachers().get("llama").mean());
    assertThat(with.concepts().get("concepts").centroidsFile())
        .isEqualTo(without.concepts().get("concepts").centroidsFile());
    for (String kind : List.of("teachers/llama", "concepts/concepts")) {
      assertThat(rows(both, kind + "/train")).isEqualTo(rows(plain, kind + "/train"));
      assertThat(rows(both, kind + "/test")).hasSize(10);
    }
  }
}
