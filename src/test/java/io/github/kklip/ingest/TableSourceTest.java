package io.github.kklip.ingest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.ingest.sources.Png;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.Pair;
import io.github.kklip.store.Reject;
import io.github.kklip.store.Shard;
import io.github.kklip.store.shards.PairFormat;
import io.github.kklip.store.shards.RejectFormat;
import io.github.kklip.store.shards.ShardReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.SaveMode;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.StructType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

@ExtendWith(LocalSpark.class)
class TableSourceTest {
  @TempDir Path folder;

  private SparkSession session;

  @BeforeEach
  void session() {
    session = SparkSession.builder().sparkContext(LocalSpark.get().sc()).getOrCreate();
  }

  @AfterEach
  void dropTables() {
    for (String name : List.of("made", "other")) {
      session.catalog().dropTempView(name);
      session.sql("DROP TABLE IF EXISTS spark_catalog.default." + name);
    }
  }

  @Test
  void aViewGivesItsRowsAndRejectsNameThem() throws IOException {
    rows(
            "image STRUCT<bytes: BINARY, path: STRING>, captions ARRAY<STRING>, id BIGINT",
            row(row(png(1), "a"), List.of("one", "two"), 11L),
            row(row(png(2), "b"), Arrays.asList("three", null), 12L),
            row(row(null, "c"), List.of("four"), 13L),
            row(null, List.of("five"), 14L),
            row(row(png(3), "d"), null, 15L),
            row(row(png(1), "e"), List.of("one"), 16L),
            row(row(new byte[] {1, 2}, "f"), List.of("six", "seven"), null))
        .createOrReplaceTempView("made");

    IngestResult result = ingest("table = made", "id-column = id");

    assertThat(pairs()).extracting(Pair::caption).containsExactlyInAnyOrder("one", "two", "three");
    assertThat(pairs()).extracting(Pair::source).containsOnly("made");
    assertThat(result.reasons())
        .isEqualTo(
            new TreeMap<>(
                Map.of(
                    "no-image", 2L, "no-caption", 1L, "duplicate", 1L, "image-undecodable", 2L)));
    assertThat(rejects())
        .extracting(Reject::key)
        .contains("13", "14", "15")
        .filteredOn(key -> key.startsWith("part "))
        .hasSize(2)
        .allMatch(key -> key.matches("part \\d+ row \\d+ caption [01]"));
    assertThat(result.sources().get(0).path()).isEqualTo("made");
  }

  @Test
  void aTableOfFilesIsReadOnceAndThenItsNewFilesAlone() throws IOException {
    save("made", 1, 2, 3);
    assertThat(ingest("table = spark_catalog.default.made").pairs()).isEqualTo(3);

    assertThat(ingest("table = spark_catalog.default.made").input()).isZero();

    save("made", 3, 4);
    IngestResult more = ingest("table = spark_catalog.default.made");
    assertThat(List.of(more.input(), more.pairs(), more.rejects())).containsExactly(2L, 1L, 1L);
    assertThat(ingest("table = spark_catalog.default.made").input()).isZero();

    // Read in another way, it is looked at again.
    IngestResult other =
        ingest("table = spark_catalog.default.made", "caption-column = caption", "weight = 2");
    assertThat(List.of(other.input(), other.pairs())).containsExactly(10L, 4L);
  }

  @Test
  void anAppendOfAnotherProgramIsSeen() throws IOException {
    save("made", 1);
    assertThat(ingest("table = spark_catalog.default.made").pairs()).isEqualTo(1);
    numbered(5).write().mode(SaveMode.Append).parquet(folder.resolve("table-made").toString());
    assertThat(ingest("table = spark_catalog.default.made").pairs()).isEqualTo(1);
  }

  @Test
  void aRowWhoseFileIsMissingIsAskedForAgain() throws IOException {
    Path images = Files.createDirectory(folder.resolve("images"));
    Files.write(images.resolve("1.png"), png(1));
    rows("image STRING, caption STRING", row("1.png", "one"), row("2.png", "two"))
        .write()
        .option("path", folder.resolve("table").toString())
        .saveAsTable("spark_catalog.default.made");
    String[] keys = {
      "table = spark_catalog.default.made",
      "image-content = path",
      "image-root = \"" + images + "\""
    };
    assertThat(ingest(keys).reasons()).isEqualTo(new TreeMap<>(Map.of("missing-file", 1L)));

    Files.write(images.resolve("2.png"), png(2));
    IngestResult again = ingest(keys);
    assertThat(again.pairs()).isEqualTo(1);
    assertThat(again.reasons()).isEqualTo(new TreeMap<>(Map.of("duplicate", 1L)));
    assertThat(ingest(keys).input()).isZero();
  }

  @Test
  void aTableNamesNoFileElsewhere() throws IOException {
    rows("image STRING, caption STRING", row("https://example.org/1.png", "one"))
        .createOrReplaceTempView("made");
    IngestResult result =
        ingest("table = made", "image-content = path", "image-root = \"" + folder + "\"");
    assertThat(result.reasons()).isEqualTo(new TreeMap<>(Map.of("not-a-file", 1L)));
  }

  @Test
  void aQueryAndAViewAreReadByEachRun() throws IOException {
    save("other", 1, 2, 3);
    String query = "query = \"WITH t AS (TABLE other) SELECT * FROM t WHERE n > 1 -- comment\"";
    assertThat(ingest(query).pairs()).isEqualTo(2);
    assertThat(ingest(query).reasons()).isEqualTo(new TreeMap<>(Map.of("duplicate", 2L)));

    session.sql("CREATE TEMPORARY VIEW made AS SELECT * FROM other WHERE n < 3");
    assertThat(ingest("table = made").pairs()).isEqualTo(1);
    session.sql("CREATE OR REPLACE TEMPORARY VIEW made AS SELECT * FROM other WHERE n = 1");
    assertThat(ingest("table = made").input()).isEqualTo(1);
  }

  @Test
  void theOrderOfSourcesDecidesWhichOfTwoEqualPairsIsKept() throws IOException {
    numbered(1).createOrReplaceTempView("made");
    Path images = Files.createDirectory(folder.resolve("images"));
    Files.write(images.resolve("1.png"), png(1));
    Files.writeString(images.resolve("1.txt"), "caption 1");
    String table = "{ format = spark, table = made }";
    String files = "{ format = folder, path = \"" + images + "\" }";

    run("ingest.sources=[" + table + ", " + files + "]");
    assertThat(rejects()).extracting(Reject::key).containsExactly("1.png");
    assertThat(pairs()).extracting(Pair::source).containsExactly("made");

    dataset = "second";
    run("ingest.sources=[" + files + ", " + table + "]");
    assertThat(rejects()).extracting(Reject::key).containsExactly("part 0 row 0");
  }

  @Test
  void columnsAreFoundThroughStructuresListsAndDots() throws IOException {
    rows(
            "`the.jpg` BINARY, deep STRUCT<Images: ARRAY<STRUCT<bytes: BINARY>>>, json STRUCT<caption: STRING>",
            row(png(1), row(List.of(row(png(2)), row(png(3)))), row("text")))
        .createOrReplaceTempView("made");
    assertThat(ingest("table = made", "image-column = the.jpg").pairs()).isEqualTo(1);
    assertThat(ingest("table = made", "image-column = deep.images", "image-index = all").pairs())
        .isEqualTo(2);
  }

  @Test
  void aTableWithoutTheColumnsIsRefused() {
    rows("image INT, caption STRING", row(1, "x")).createOrReplaceTempView("made");
    assertRefused(
        "the table has the columns [image: int, caption: text], and none is one of image, jpg, jpeg, png, webp, images, img with bytes: set image-column",
        "table = made");
    assertRefused(
        "none is text with texts: set caption-column",
        "query = \"SELECT X'00' AS image, MAP('en', 'x') AS text\"",
        "caption-column = text");
    assertRefused(
        "none is key: set id-column",
        "query = \"SELECT X'00' AS image, 'x' AS text\"",
        "id-column = key");
  }

  private void assertRefused(String says, String... keys) {
    assertThatThrownBy(() -> ingest(keys))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining(says)
        .hasMessageContaining("kklip.ingest.sources[0], a spark source")
        .hasMessageNotContaining("\n");
    assertThat(folder.resolve(dataset)).doesNotExist();
  }

  @Test
  void whatSparkRefusesIsRefusedWithItsSentence() throws IOException {
    assertRefused(
        "Cannot ingest default.gone because Spark says: [TABLE_OR_VIEW_NOT_FOUND]",
        "table = default.gone");
    assertRefused("[PARSE_SYNTAX_ERROR]", "query = \"SELEC image FROM made\"");
    assertRefused("[UNRESOLVED_COLUMN", "query = \"SELECT nothing FROM VALUES (1) AS t(image)\"");
    assertRefused(
        "[AMBIGUOUS_REFERENCE]",
        "query = \"SELECT X'00' AS image, X'01' AS image, 'x' AS caption\"");
    save("other", 1);
    assertRefused("[PARSE_SYNTAX_ERROR]", "query = \"DROP TABLE other\"");
    assertRefused("[PARSE_SYNTAX_ERROR]", "query = \"SELECT 1); DROP TABLE other --\"");
    assertThat(session.catalog().tableExists("other")).isTrue();
  }

  @Test
  void anEmptyTableIsRefused() {
    rows("image BINARY, caption STRING").createOrReplaceTempView("made");
    assertThatThrownBy(() -> ingest("table = made"))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("Cannot ingest made because it is empty");
  }

  private static byte[] png(int number) {
    byte[] rgb = new byte[3 * 32 * 32];
    Arrays.fill(rgb, (byte) (number * 20));
    return Png.encode(rgb, 32, 32);
  }

  private static Row row(Object... cells) {
    return RowFactory.create(cells);
  }

  private Dataset<Row> rows(String schema, Row... rows) {
    return session.createDataFrame(List.of(rows), StructType.fromDDL(schema));
  }

  private Dataset<Row> numbered(int... numbers) {
    return rows(
        "n INT, image BINARY, caption STRING",
        Arrays.stream(numbers).mapToObj(n -> row(n, png(n), "caption " + n)).toArray(Row[]::new));
  }

  private void save(String table, int... numbers) {
    numbered(numbers)
        .write()
        .mode(SaveMode.Append)
        .option("path", folder.resolve("table-" + table).toString())
        .saveAsTable("spark_catalog.default." + table);
  }

  private String dataset = "data";

  private IngestResult ingest(String... keys) throws IOException {
    return run("ingest.sources=[{ format = spark\n" + String.join("\n", keys) + "\n}]");
  }

  private IngestResult run(String sources) throws IOException {
    IngestResult result =
        IngestStage.run(
            session,
            Settings.load(
                List.of(),
                List.of(
                    sources,
                    "dataset=" + folder.resolve(dataset),
                    "ingest.validation-fraction=0")));
    assertThat(result.input()).isEqualTo(result.pairs() + result.rejects());
    return result;
  }

  private List<Pair> pairs() throws IOException {
    DatasetFolder data = new DatasetFolder(folder.resolve(dataset).toString(), new Configuration());
    List<Pair> pairs = new ArrayList<>();
    for (Shard shard : data.readManifest().orElseThrow().shards()) {
      try (ShardReader<Pair> reader =
          ShardReader.open(data.configuration(), data.pairs(shard), PairFormat.ALL)) {
        for (int group = 0; group < reader.rowGroups(); group++) {
          pairs.addAll(reader.readGroup(group));
        }
      }
    }
    return pairs;
  }

  private List<Reject> rejects() throws IOException {
    DatasetFolder data = new DatasetFolder(folder.resolve(dataset).toString(), new Configuration());
    List<Reject> rejects = new ArrayList<>();
    for (var generation : data.readManifest().orElseThrow().generations()) {
      for (String name : generation.rejectFiles()) {
        try (ShardReader<Reject> reader =
            ShardReader.open(data.configuration(), data.file(name), new RejectFormat())) {
          for (int group = 0; group < reader.rowGroups(); group++) {
            rejects.addAll(reader.readGroup(group));
          }
        }
      }
    }
    return rejects;
  }
}
