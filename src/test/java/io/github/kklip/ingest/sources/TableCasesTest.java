package io.github.kklip.ingest.sources;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.SharedData;
import io.github.kklip.ingest.sources.SourceRows.Candidate;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Tables that once failed, where they are present beside the project. */
final class TableCasesTest {
  private static List<String> read(String format, String name, String... keys) throws IOException {
    return SourceRows.texts(format, path(name), keys);
  }

  private static Path path(String name) {
    return SharedData.shownCase(name).toAbsolutePath().normalize();
  }

  @Test
  void conceptualCaptions() throws IOException {
    assertThat(read("csv", "I21/Train_GCC-training.tsv")).containsExactly(" schema");
    assertThat(
            read(
                "csv",
                "I21/Train_GCC-training.tsv",
                "header = \"caption,url\", image-column = url, caption-column = caption"))
        .containsExactly(
            "http://example.invalid/a.jpg line 1 not-a-file",
            "http://example.invalid/b.jpg line 2 not-a-file");
  }

  @Test
  void jsonOfThreeForms() throws IOException {
    String root = "image-root = \"" + path("I25/train") + "\"";

    assertThat(read("jsonl", "I25/train/metadata.jsonl"))
        .containsExactly("0.jpg: i25 c0", "1.jpg: i25 c1");
    assertThat(read("coco", "I25/captions_coco.json", root)).containsExactly("0.jpg: i25 coco");
    assertThat(read("llava", "I25/llava.json", root)).containsExactly("0.jpg: i25 llava");
  }

  @Test
  void brokenTables() throws IOException {
    assertThat(read("csv", "I30/comma.csv"))
        .containsExactly("line 2 csv-malformed", "img/1.jpg: i30 plain");
    assertThat(read("csv", "I30/index.csv")).containsExactly("img/4.jpg: i30 pandas index");
    assertThat(SourceRows.read("csv", path("I30/nan.csv")))
        .hasSize(4)
        .extracting(Candidate::reason)
        .containsOnly("caption-missing");
    assertThat(read("csv", "I30/strayquote.tsv"))
        .containsExactly(
            "img/2.jpg: i30 first",
            "img/3.jpg: \"i30 Love you till the end",
            "img/4.jpg: i30 third",
            "img/5.jpg: i30 fourth",
            "img/6.jpg: i30 fifth");
    assertThat(read("csv", "I30/strayquote.tsv", "quote = \"\\\"\""))
        .hasSize(5)
        .contains("line 3 csv-malformed", "img/4.jpg: i30 third");
  }

  @Test
  void parquetOfAnotherCodecAndPointers() throws IOException {
    for (String codec : List.of("snappy", "gzip", "zstd", "lz4", "v2")) {
      assertThat(SourceRows.read("parquet", path("I17/" + codec + ".parquet")))
          .isNotEmpty()
          .extracting(Candidate::reason)
          .containsOnly("");
    }
    assertThat(SourceRows.read("parquet", path("I17/brotli.parquet")).get(0).text())
        .containsIgnoringCase("brotli")
        .doesNotContain("Remove");
    for (String name : List.of("parquet train.parquet", "webdataset 00000.tar")) {
      String[] parts = name.split(" ", -1);
      assertThat(SourceRows.read(parts[0], path("I39/" + parts[1])).get(0).text())
          .contains("run git lfs pull")
          .doesNotContain("Remove");
    }
  }

  @Test
  void rowsThatOpenClipQuotes() throws IOException {
    Path table = SharedData.path("flickr8k").resolve("dev/dev.csv").toAbsolutePath().normalize();

    List<Candidate> found = SourceRows.read("csv", table);

    assertThat(found).hasSize(2000).extracting(Candidate::reason).containsOnly("");
    assertThat(found).noneMatch(row -> row.text().startsWith("\""));
  }
}
