package io.github.kklip.jobs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.config.SettingsException;
import io.github.kklip.store.DatasetManifest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The lists of files open with other readers, and hold the rows of the manifest alone. */
class DatasetFilesTest {
  private static SparkSession spark;
  @TempDir private static Path folder;
  private static NightlyDataset data;

  /** Two ingests, two clusterings, and in every folder what a writer that lost a race left. */
  @BeforeAll
  static void make() throws IOException {
    spark =
        SparkSession.builder()
            .master("local[2]")
            .config("spark.ui.enabled", "false")
            .config("spark.driver.host", "127.0.0.1")
            .getOrCreate();
    data = new NightlyDataset(spark, folder);
    data.night(30);
    data.kklip().embed();
    data.kklip().cluster();
    data.night(20);
    data.kklip().embed();
    data.kklip().set("concepts.recluster", true).set("concepts.k", 3).cluster();
    List<Path> files;
    try (Stream<Path> all = Files.walk(data.root())) {
      files = all.filter(file -> file.toString().endsWith(".parquet")).toList();
    }
    for (Path file : files) {
      String name =
          file.getFileName().toString().replaceFirst("-[0-9a-f]{32}", "-" + "0".repeat(32));
      Path orphan = file.resolveSibling(name);
      if (!Files.exists(orphan)) {
        Files.copy(file, orphan);
      }
    }
  }

  @AfterAll
  static void close() {
    spark.stop();
  }

  private static Map<String, Long> kinds() throws IOException {
    DatasetManifest.Totals totals = data.dataset().requireManifest().totals();
    return Map.of(
        "pairs", totals.pairs(),
        "pairs/train", totals.train(),
        "pairs/validation", totals.validation(),
        "rejects", totals.rejects(),
        "teachers/llama", totals.pairs(),
        "teachers/llama/train", totals.train(),
        "concepts/concepts", totals.pairs(),
        "concepts/concepts/validation", totals.validation());
  }

  private static List<String> paths(String kind) throws IOException {
    return data.kklip().files(kind).paths();
  }

  @Test
  void sparkOpensEveryList() throws IOException {
    for (Map.Entry<String, Long> kind : kinds().entrySet()) {
      assertThat(spark.read().parquet(paths(kind.getKey()).toArray(String[]::new)).count())
          .as(kind.getKey())
          .isEqualTo(kind.getValue());
    }
    // Opened alone, a folder has the orphans too.
    assertThat(spark.read().parquet(data.root().resolve("pairs/1").toString()).count())
        .isGreaterThan(kinds().get("pairs"));
  }

  @Test
  void duckDbOpensEveryList() throws IOException, SQLException {
    try (Connection connection = DriverManager.getConnection("jdbc:duckdb:");
        Statement statement = connection.createStatement()) {
      for (Map.Entry<String, Long> kind : kinds().entrySet()) {
        String list =
            paths(kind.getKey()).stream()
                .map(path -> "'" + path + "'")
                .collect(Collectors.joining(", ", "[", "]"));
        try (ResultSet rows =
            statement.executeQuery("SELECT count(*) FROM read_parquet(" + list + ")")) {
          assertThat(rows.next()).isTrue();
          assertThat(rows.getLong(1)).as(kind.getKey()).isEqualTo(kind.getValue());
        }
      }
    }
  }

  /** With the variable KKLIP_PEER_PYTHON naming a Python that has pyarrow. */
  @Test
  void pyarrowOpensEveryList() throws Exception {
    String python = System.getenv("KKLIP_PEER_PYTHON");
    Assumptions.assumeTrue(python != null, "KKLIP_PEER_PYTHON is not set.");
    for (Map.Entry<String, Long> kind : kinds().entrySet()) {
      List<String> words = new ArrayList<>(List.of(python, "src/test/python/parquet_rows.py"));
      words.addAll(paths(kind.getKey()));
      Path out = folder.resolve("rows.txt");
      Process process =
          new ProcessBuilder(words)
              .redirectOutput(out.toFile())
              .redirectError(ProcessBuilder.Redirect.INHERIT)
              .start();
      assertThat(process.waitFor(2, TimeUnit.MINUTES)).isTrue();
      Assumptions.assumeTrue(process.exitValue() != 3, python + " has no pyarrow.");
      assertThat(process.exitValue()).isZero();
      assertThat(Files.readString(out).strip())
          .as(kind.getKey())
          .isEqualTo(Long.toString(kind.getValue()));
    }
  }

  @Test
  void otherKindsAreThereToo() throws IOException {
    assertThat(paths("tokenizer")).isEmpty();
    assertThat(paths("centroids/concepts"))
        .singleElement()
        .satisfies(path -> assertThat(Path.of(path)).exists());
    assertThat(paths("manifests"))
        .hasSize(6)
        .allSatisfy(path -> assertThat(Path.of(path)).exists())
        .last()
        .asString()
        .endsWith("/_manifests/000000006.json");
  }

  @Test
  void theCommandLinePrintsThemBeforeTheResult() throws Exception {
    var out = new java.io.ByteArrayOutputStream();
    int status =
        Main.run(
            List.of("files", data.root().toString(), "pairs/train"),
            new java.io.PrintStream(out, true, java.nio.charset.StandardCharsets.UTF_8),
            System.err);
    assertThat(status).isZero();
    List<String> lines = out.toString(java.nio.charset.StandardCharsets.UTF_8).lines().toList();
    List<String> paths = paths("pairs/train");
    assertThat(lines.subList(0, lines.size() - 1)).isEqualTo(paths);
    assertThat(lines.get(lines.size() - 1))
        .startsWith("RESULT {\"job\":\"files\",\"status\":\"done\"")
        .contains("\"kind\":\"pairs/train\"", "\"manifest\":6", "\"files\":" + paths.size());
  }

  @Test
  void anUnknownKindIsRefusedWithThoseThatThereAre() {
    for (String kind : List.of("teachers/other", "pairs/test", "tokenizer/train", "x")) {
      assertThatThrownBy(() -> data.kklip().files(kind))
          .isInstanceOf(SettingsException.class)
          .hasMessageStartingWith("Cannot list the files of kind " + kind + " of the dataset ")
          .hasMessageEndingWith(
              "Give one of centroids/concepts, concepts/concepts, manifests, pairs, pairs/train, pairs/validation, rejects, removed, sources, teachers/llama, tokenizer.");
    }
  }
}
