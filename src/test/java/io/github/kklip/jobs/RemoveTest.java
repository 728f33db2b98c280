package io.github.kklip.jobs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.ingest.IngestResult;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.Identity;
import io.github.kklip.store.RegisteredRun;
import io.github.kklip.store.Shard;
import io.github.kklip.store.publication.Lease;
import io.github.kklip.store.publication.LeaseHeldException;
import io.github.kklip.upkeep.CleanResult;
import io.github.kklip.upkeep.CleanStage;
import io.github.kklip.upkeep.RemoveResult;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RemoveTest {
  private static SparkSession spark;
  @TempDir Path folder;
  private NightlyDataset data;

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

  @BeforeEach
  void make() throws IOException {
    data = new NightlyDataset(spark, folder);
    data.night(40);
    data.night(20);
    data.kklip().tokenizer();
    data.kklip().embed();
    data.kklip().cluster();
  }

  /** All rows of a kind, by id. */
  private Map<String, Row> rows(String kind) throws IOException {
    Map<String, Row> rows = new TreeMap<>();
    for (Row row :
        spark
            .read()
            .parquet(data.kklip().files(kind).paths().toArray(String[]::new))
            .collectAsList()) {
      rows.put(row.getAs("id"), row);
    }
    return rows;
  }

  private Map<String, Map<String, Row>> all() throws IOException {
    Map<String, Map<String, Row>> all = new TreeMap<>();
    for (String kind : List.of("pairs", "teachers/llama", "concepts/concepts")) {
      all.put(kind, rows(kind));
    }
    return all;
  }

  private RemoveResult remove(String... ids) throws IOException {
    Path file = folder.resolve("ids.txt");
    Files.write(file, List.of(ids));
    return data.kklip().remove(file.toString());
  }

  private static Row first(Map<String, Row> rows, int skip) {
    return rows.values().stream().skip(skip).findFirst().orElseThrow();
  }

  private CleanResult clean(boolean removedNow) throws IOException {
    return CleanStage.run(
        Settings.load(List.of(), List.of("dataset=" + data.root())),
        new Configuration(false),
        new CleanStage.Request(true, Optional.empty(), removedNow));
  }

  @Test
  void rowsLeavePairsAndAllThatIsDerivedInOneCommit() throws IOException {
    DatasetManifest before = data.dataset().requireManifest();
    Map<String, Map<String, Row>> rows = all();
    String row = first(rows.get("pairs"), 0).getAs("id");
    Row ofImage = first(rows.get("pairs"), 7);

    RemoveResult result =
        remove(row, "", ofImage.<String>getAs("image_id").toUpperCase(java.util.Locale.ROOT));

    assertThat(result.rows()).isEqualTo(2);
    assertThat(result.ids()).isEqualTo(2);
    assertThat(result.runs()).isEmpty();
    DatasetManifest after = data.dataset().requireManifest();
    assertThat(after.number()).isEqualTo(before.number() + 1);
    assertThat(after.totals().pairs()).isEqualTo(58);
    assertThat(after.totals().input()).isEqualTo(before.totals().input());
    assertThat(after.totals().reasons())
        .containsEntry("removed", 2L)
        .containsEntry("no-caption", 2L);
    assertThat(
            after.generations().stream()
                .flatMap(g -> g.sources().stream())
                .mapToLong(DatasetManifest.SourceCounts::pairs)
                .sum())
        .isEqualTo(58);
    rows.values()
        .forEach(kind -> kind.keySet().removeAll(List.of(row, ofImage.<String>getAs("id"))));
    assertThat(all()).isEqualTo(rows);
    assertThat(after.teachers().get("llama").mean())
        .isEqualTo(before.teachers().get("llama").mean());
    assertThat(after.concepts().get("concepts").made())
        .isEqualTo(before.concepts().get("concepts").made());
    List<Row> rejects =
        spark
            .read()
            .parquet(data.kklip().files("rejects").paths().toArray(String[]::new))
            .where("reason = 'removed'")
            .collectAsList();
    assertThat(rejects)
        .hasSize(2)
        .allSatisfy(reject -> assertThat(reject.mkString(" ")).doesNotContain("square number"))
        .extracting(reject -> reject.<String>getAs("key"))
        .containsExactlyInAnyOrder(row, ofImage.getAs("id"));
    // Nothing is left to do for the stages after it, and they take what they find.
    assertThat(data.kklip().embed().embedded()).isZero();
    assertThat(data.kklip().cluster().labelled()).isZero();
    assertThat(data.kklip().tokenizer().reused()).isTrue();
  }

  @Test
  void whatWasTakenDownDoesNotComeBack() throws IOException {
    Map<String, Row> pairs = rows("pairs");
    Row one =
        pairs.values().stream()
            .filter(row -> row.<String>getAs("source").contains("night0"))
            .findFirst()
            .orElseThrow();
    remove(one.<String>getAs("image_id"));
    IngestResult again =
        data.kklip()
            .set(
                "ingest.sources",
                "[{ format = folder, path = \"" + data.night0() + "\", weight = 2 }]")
            .ingest();
    assertThat(again.reasons()).containsEntry("removed", 1L);
    assertThat(again.input()).isEqualTo(again.pairs() + again.rejects());
    assertThat(rows("pairs").values())
        .noneMatch(row -> row.getAs("image_id").equals(one.getAs("image_id")));
    // A second takedown of copies: the one that is named takes the others with it.
    Row copied =
        rows("pairs").values().stream()
            .filter(
                row ->
                    !row.getAs("id")
                        .equals(Identity.ofPair(row.getAs("image_id"), row.getAs("caption"))))
            .findFirst()
            .orElseThrow();
    RemoveResult result = remove(copied.<String>getAs("id"));
    assertThat(result.rows()).isEqualTo(2);
    assertThat(rows("pairs").values())
        .noneMatch(row -> row.getAs("image_id").equals(copied.getAs("image_id")));
    assertThat(data.dataset().requireManifest().removed()).hasSize(2);
    // Nor does the row that it is a copy of, from files that were not read before.
    Path other = Files.createDirectories(folder.resolve("other"));
    try (Stream<Path> files = Files.list(data.night0())) {
      for (Path file : files.toList()) {
        Files.copy(file, other.resolve(file.getFileName()));
      }
    }
    data.again(other);
    assertThat(rows("pairs").values())
        .noneMatch(row -> row.getAs("image_id").equals(copied.getAs("image_id")));
  }

  @Test
  void anEmptyShardGoesAndTheSameTakedownAgainChangesNothing() throws IOException {
    Shard shard = data.dataset().requireManifest().shards().get(0);
    String[] ids =
        spark.read().parquet(data.dataset().pairs(shard).toString()).collectAsList().stream()
            .map(row -> row.<String>getAs("id"))
            .toArray(String[]::new);
    assertThat(remove(ids).rows()).isEqualTo(shard.rows());
    DatasetManifest after = data.dataset().requireManifest();
    assertThat(after.shards()).doesNotContain(shard);
    assertThat(after.teachers().get("llama").files()).hasSameSizeAs(after.shards());
    assertThat(remove(ids).rows()).isZero();
    assertThat(data.dataset().requireManifest()).isEqualTo(after);
  }

  @Test
  void runsThatSawTheRowsAreNamedAndKeepTheirFiles() throws IOException {
    DatasetManifest before = data.dataset().requireManifest();
    Path run = Files.createDirectories(folder.resolve("run"));
    new RegisteredRun("file:" + run, before.number()).register(data.dataset());
    new RegisteredRun("file:/gone", 1000).register(data.dataset());
    String id = first(rows("pairs/train"), 0).getAs("id");
    RemoveResult result = remove(id);
    assertThat(result.runs()).containsExactly("file:" + run);
    assertThat(result.unknownRuns()).containsExactly("file:/gone");
    RegisteredRun.forget(data.dataset(), new RegisteredRun("file:/gone", 1000).name());
    // The rows are not in the pairs any more, but the run saw them all the same.
    assertThat(remove(id).runs()).containsExactly("file:" + run);
    String unseen = first(rows("pairs/validation"), 0).getAs("id");
    assertThat(remove(unseen).runs()).isEmpty();

    List<String> files = before.files();
    clean(true);
    assertThat(data.dataset().present(files)).hasSameSizeAs(files);
  }

  @Test
  void cleanDeletesWhatATakedownReplacedAtOnceOnlyWhenTold() throws IOException {
    List<String> before = data.dataset().requireManifest().files();
    remove(first(rows("pairs"), 0).<String>getAs("id"));
    assertThat(clean(false).deleted()).isZero();
    DatasetManifest after = data.dataset().requireManifest();
    CleanResult cleaned = clean(true);
    List<String> replaced = new ArrayList<>(before);
    replaced.removeAll(after.files());
    assertThat(replaced).hasSize(3);
    assertThat(data.dataset().present(replaced)).isEmpty();
    assertThat(data.dataset().present(after.files())).hasSameSizeAs(after.files());
    assertThat(cleaned.kinds())
        .containsEntry("pairs", 1L)
        .containsEntry("embeddings", 1L)
        .containsEntry("labels", 1L)
        .containsEntry("manifest", after.number() - 1);
    assertThat(clean(true).deleted()).isZero();
    // The same after the next takedown, which is the last one then.
    remove(first(rows("pairs"), 5).<String>getAs("id"));
    List<String> again = new ArrayList<>(after.files());
    again.removeAll(data.dataset().requireManifest().files());
    assertThat(again).hasSize(3);
    assertThat(clean(true).deleted()).isEqualTo(4);
    assertThat(data.dataset().present(again)).isEmpty();
  }

  @Test
  void whatCannotBeIdsIsRefused() throws IOException {
    assertThatThrownBy(() -> remove("a".repeat(32), "not an id"))
        .isInstanceOf(SettingsException.class)
        .hasMessageStartingWith("Cannot remove the rows of --ids " + folder.resolve("ids.txt"))
        .hasMessageContaining("because line 2 is no id: not an id. Give ids of rows");
    assertThatThrownBy(() -> remove(""))
        .isInstanceOf(SettingsException.class)
        .hasMessageEndingWith("because it has no ids.");
    assertThatThrownBy(() -> data.kklip().remove(folder.resolve("none").toString()))
        .isInstanceOf(SettingsException.class)
        .hasMessageEndingWith("because there is no such file.");
    try (Lease ingest =
        Lease.acquire(
            data.dataset().configuration(),
            data.dataset().root(),
            "ingest",
            Duration.ofMinutes(1))) {
      assertThatThrownBy(() -> remove("a".repeat(32)))
          .isInstanceOf(LeaseHeldException.class)
          .hasMessageContaining("the job ingest");
      ingest.check();
    }
  }
}
