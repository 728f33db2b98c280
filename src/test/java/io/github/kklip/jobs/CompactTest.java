package io.github.kklip.jobs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.config.SettingsException;
import io.github.kklip.ingest.CompactResult;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Split;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CompactTest {
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

  /** All rows of a kind, each column, with how often they are there. */
  private static Map<Row, Integer> rows(NightlyDataset data, String kind) throws IOException {
    Map<Row, Integer> rows = new HashMap<>();
    spark
        .read()
        .parquet(data.kklip().files(kind).paths().toArray(String[]::new))
        // Arrays of bytes are compared by their addresses.
        .selectExpr("struct(*) as row")
        .selectExpr("to_json(row)")
        .collectAsList()
        .forEach(row -> rows.merge(row, 1, Integer::sum));
    return rows;
  }

  private static Map<String, Map<Row, Integer>> all(NightlyDataset data) throws IOException {
    Map<String, Map<Row, Integer>> all = new TreeMap<>();
    for (String kind :
        List.of(
            "pairs/train",
            "pairs/validation",
            "teachers/llama/train",
            "teachers/llama/validation",
            "concepts/concepts/train",
            "concepts/concepts/validation",
            "rejects")) {
      all.put(kind, rows(data, kind));
    }
    return all;
  }

  @Test
  void thirtyNightsBecomeFullShardsWithAllThatIsDerived() throws IOException {
    NightlyDataset data = new NightlyDataset(spark, folder);
    for (int night = 0; night < 30; night++) {
      data.night(3);
    }
    data.kklip().tokenizer();
    data.kklip().embed();
    data.kklip().cluster();
    DatasetManifest before = data.dataset().requireManifest();
    Map<String, Map<Row, Integer>> rows = all(data);
    assertThat(before.generations()).hasSize(30);
    assertThat(before.shards()).hasSizeGreaterThan(30);
    List<String> old = before.files();

    CompactResult result = data.kklip().compact();

    DatasetManifest after = data.dataset().requireManifest();
    long train = before.rows(Split.TRAIN);
    int full = (int) ((train + 15) / 16 + (90 - train + 15) / 16);
    assertThat(after.number()).isEqualTo(before.number() + 1);
    assertThat(after.generations()).hasSize(1);
    assertThat(after.shards()).hasSize(full);
    assertThat(after.shards()).allMatch(shard -> shard.file().startsWith("pairs/2/"));
    assertThat(after.shards().stream().map(Shard::stem)).doesNotHaveDuplicates();
    assertThat(after.totals()).isEqualTo(before.totals());
    assertThat(all(data)).isEqualTo(rows);
    assertThat(result)
        .extracting(
            CompactResult::generations,
            CompactResult::shardsBefore,
            CompactResult::shards,
            CompactResult::filesBefore,
            CompactResult::files)
        .containsExactly(
            30,
            before.shards().size(),
            full,
            (long) new HashSet<>(old).size(),
            (long) new HashSet<>(after.files()).size());
    assertThat(result.filesBefore() - result.files())
        .isEqualTo(3L * (before.shards().size() - full));
    // What was replaced is there until it is cleaned.
    assertThat(data.dataset().present(old)).containsAll(old);
    // A shard has rows of many nights.
    Set<String> nights = new HashSet<>();
    spark
        .read()
        .parquet(data.dataset().pairs(after.shards().get(0)).toString())
        .select("source")
        .collectAsList()
        .forEach(row -> nights.add(row.getString(0)));
    assertThat(nights).hasSizeGreaterThan(5);

    assertThat(data.kklip().embed().embedded()).isZero();
    assertThat(data.kklip().cluster().labelled()).isZero();
    assertThat(data.kklip().tokenizer().reused()).isTrue();
    assertThat(data.dataset().requireManifest()).isEqualTo(after);
    CompactResult again = data.kklip().compact();
    assertThat(again.shards()).isEqualTo(again.shardsBefore()).isEqualTo(full);
    assertThat(data.dataset().requireManifest()).isEqualTo(after);

    data.again(data.night0());
    assertThat(data.dataset().requireManifest().totals().pairs()).isEqualTo(90);
    data.night(2);
    assertThat(data.dataset().requireManifest().shards(Split.TRAIN).size())
        .isGreaterThanOrEqualTo(after.shards(Split.TRAIN).size());
    assertThat(rows(data, "pairs")).hasSize(92);
  }

  @Test
  void theSameRowsGiveTheSameFiles() throws IOException {
    List<List<String>> files = new ArrayList<>();
    for (String name : List.of("one", "two")) {
      NightlyDataset data = new NightlyDataset(spark, Files.createDirectories(folder.resolve("x")));
      data.night(5);
      data.night(5);
      data.kklip().compact();
      files.add(data.dataset().requireManifest().files());
      Files.move(folder.resolve("x"), folder.resolve(name));
    }
    assertThat(files.get(0)).isEqualTo(files.get(1));
  }

  @Test
  void aPageThatIsMissingIsMadeAgainThoughThereIsNothingToDo() throws IOException {
    NightlyDataset data = new NightlyDataset(spark, folder);
    data.night(3);
    DatasetManifest made = data.dataset().requireManifest();
    Path card = data.root().resolve("card.html");
    byte[] page = Files.readAllBytes(card);
    Files.delete(card);
    data.kklip().compact();
    assertThat(card).hasBinaryContent(page);
    Files.writeString(card, "of before");
    data.kklip().compact();
    assertThat(card).hasContent("of before");
    assertThat(data.dataset().requireManifest()).isEqualTo(made);
  }

  @Test
  void whatLacksShardsIsRefusedWithTheJobToRun() throws IOException {
    NightlyDataset data = new NightlyDataset(spark, folder);
    data.night(20);
    data.kklip().embed();
    data.kklip().cluster();
    data.night(5);
    assertThatThrownBy(() -> data.kklip().compact())
        .isInstanceOf(SettingsException.class)
        .hasMessageStartingWith("Cannot compact the dataset file:" + data.root())
        .hasMessageContaining("because the embeddings llama lack ")
        .hasMessageEndingWith(
            "Run the job embed with teacher.name = llama first, which does what is missing.");
    data.kklip().embed();
    assertThatThrownBy(() -> data.kklip().compact())
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("because the concepts concepts lack ")
        .hasMessageContaining("Run the job cluster with concepts.name = concepts first");
    try (Stream<Path> files = Files.list(data.root().resolve("pairs"))) {
      assertThat(files).hasSize(1);
    }
  }
}
