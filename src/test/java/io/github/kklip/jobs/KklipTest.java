package io.github.kklip.jobs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.config.SettingsException;
import io.github.kklip.ingest.IngestResult;
import io.github.kklip.tokenize.TokenizerStage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class KklipTest {
  private static SparkSession spark;

  @TempDir private Path folder;

  @BeforeAll
  static void open() {
    spark =
        SparkSession.builder()
            .master("local[1]")
            .config("spark.ui.enabled", "false")
            .config("spark.driver.host", "127.0.0.1")
            .getOrCreate();
  }

  @AfterAll
  static void close() {
    spark.stop();
  }

  @Test
  void jobsAreMethodsThatGiveTheirRecords() throws Exception {
    Path file = folder.resolve("my.conf");
    Files.writeString(
        file,
        "kklip { dataset = \""
            + folder.resolve("dataset")
            + "\", ingest.sources = [{ format = synthetic, pairs = 5 }] }");
    Kklip kklip = Kklip.on(spark).conf(file.toString());
    IngestResult ingested = kklip.set("ingest.validation-fraction", 0).ingest();
    assertThat(ingested.pairs()).isEqualTo(10);
    TokenizerStage.TokenizerResult tokenizer = kklip.set("tokenizer.vocab-size", 520).tokenizer();
    assertThat(tokenizer.vocabSize()).isEqualTo(520);
    assertThat(spark.sparkContext().isStopped()).isFalse();

    Map<String, Object> fields =
        Main.run(
            spark, "tokenizer", "--conf", file.toString(), "--set", "tokenizer.vocab-size=520");
    assertThat(fields)
        .containsEntry("vocab_size", 520)
        .containsEntry("reused", true)
        .containsEntry("output", tokenizer.output());
  }

  @Test
  void rowsOfTheSessionAreASourceBesideThoseOfTheSettings() throws Exception {
    Dataset<Row> rows =
        spark.sql("SELECT * FROM VALUES (X'00', 'one'), (X'01', 'two') AS t(picture, words)");
    Kklip kklip =
        Kklip.on(spark)
            .set("dataset", folder.resolve("dataset"))
            .set("ingest.sources", "[{ format = synthetic, pairs = 5 }]")
            .source("mine", rows, "image-column = picture, caption-column = words");

    IngestResult result = kklip.ingest();

    assertThat(result.sources())
        .extracting(source -> source.format() + " " + source.path() + " " + source.input())
        .containsExactly("synthetic  10", "spark mine 2");
    assertThatThrownBy(() -> kklip.source("not a name", rows))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("Cannot name a source not a name");
    assertThatThrownBy(() -> Kklip.on(spark.newSession()).source("mine", rows))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("another Spark session");
  }

  @Test
  void checkLooksForTablesOfTheCatalogBesideAllElse() throws Exception {
    String[] words = {
      "check",
      "--set",
      "dataset=" + folder.resolve("dataset"),
      "--set",
      "ingest.sources=[{ format = spark, table = gone }]"
    };
    assertThatThrownBy(() -> Main.run(spark, words))
        .isInstanceOf(RefusedException.class)
        .hasMessageContaining("TABLE_OR_VIEW_NOT_FOUND")
        .hasMessageContaining("teacher.path");
    spark.sql("SELECT 1 AS image, 'x' AS caption").createOrReplaceTempView("gone");
    assertThatThrownBy(() -> Main.run(spark, words))
        .hasMessageContaining("the table has the columns [image: int, caption: text]");
    spark.sql("SELECT X'00' AS image, 'x' AS caption").createOrReplaceTempView("gone");
    assertThatThrownBy(() -> Main.run(spark, words))
        .hasMessageContaining("teacher.path")
        .hasMessageNotContaining("ingest.sources");
  }

  @Test
  void oneObjectsSettingsAreNotAnothers() {
    Kklip kklip = Kklip.on(spark);
    Kklip unused = kklip.set("dataset", folder.resolve("dataset"));
    assertThatThrownBy(kklip::ingest)
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("kklip.dataset");
  }

  @Test
  void aWrongWordOfMainIsRefused() {
    assertThatThrownBy(() -> Main.run(spark, "ingset"))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("Did you mean ingest?");
    assertThatThrownBy(() -> Main.run(spark, "--help"))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("it is for a shell");
  }

  @Test
  void whatIsMissingIsSaidInTheJobsWords() throws IOException {
    assertThatThrownBy(() -> Kklip.on(spark).set("dataset", folder).tokenizer())
        .isInstanceOf(SettingsException.class)
        .hasMessageEndingWith("it has no manifest. Make it first, with the job ingest.");
    assertThat(folder).isEmptyDirectory();
  }
}
