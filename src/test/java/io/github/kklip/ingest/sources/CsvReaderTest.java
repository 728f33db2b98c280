package io.github.kklip.ingest.sources;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.config.SettingsException;
import io.github.kklip.ingest.sources.SourceRows.Candidate;
import io.github.kklip.store.publication.Json;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class CsvReaderTest {
  @TempDir Path folder;

  @BeforeEach
  void images() throws IOException {
    Files.createDirectory(folder.resolve("img"));
    for (int i = 0; i < 20; i++) {
      Files.write(folder.resolve("img/" + i + ".jpg"), new byte[] {(byte) i});
    }
  }

  private List<String> read(String name, String text, String... keys) throws IOException {
    return read(name, text.getBytes(StandardCharsets.UTF_8), keys);
  }

  private List<String> read(String name, byte[] bytes, String... keys) throws IOException {
    return SourceRows.texts("csv", Files.write(folder.resolve(name), bytes), keys);
  }

  private static byte[] gzip(byte[] bytes) throws IOException {
    ByteArrayOutputStream zipped = new ByteArrayOutputStream();
    try (GZIPOutputStream gzip = new GZIPOutputStream(zipped)) {
      gzip.write(bytes);
    }
    return zipped.toByteArray();
  }

  @ParameterizedTest
  @CsvSource({
    "pandas.csv, ''",
    "pandas-index.csv, ''",
    "pandas-tabs.csv, ''",
    "pandas-quoted.csv, ''",
    "pandas-bom.csv, ''",
    "pandas-utf-16.csv, ''",
    "pandas-utf-16.csv, encoding = utf-16",
    "pandas-escaped.csv, 'escape = \"\\\\\"'",
  })
  void whatPandasWritesIsReadExactly(String name, String keys) throws IOException {
    byte[] table = golden(name);
    List<String> wanted = new ArrayList<>();
    Json.tree(golden("pandas.json"))
        .forEach(caption -> wanted.add("img/" + wanted.size() + ".jpg: " + caption.textValue()));
    assertThat(wanted).hasSize(16);

    assertThat(read(name, table, keys)).isEqualTo(wanted);
    assertThat(read(name + ".gz", gzip(table), keys)).isEqualTo(wanted);
  }

  private static byte[] golden(String name) throws IOException {
    try (InputStream in = CsvReaderTest.class.getResourceAsStream("/golden/ingest/" + name)) {
      return in.readAllBytes();
    }
  }

  @Test
  void aRowWithOtherCellsThanTheHeaderIsARejectWithItsLine() throws IOException {
    Path file = folder.resolve("t.csv");
    Files.writeString(
        file,
        """
        filepath,title
        img/0.jpg,"two
        lines"

        img/1.jpg,a dog, two cats and a bird
        img/2.jpg
        img/3.jpg,plain
        img/4.jpg,trailing,
        """);

    List<Candidate> found = SourceRows.read("csv", file);

    assertThat(found)
        .extracting(Candidate::toString)
        .containsExactly(
            "img/0.jpg: two\nlines",
            "line 5 csv-malformed",
            "line 6 csv-malformed",
            "img/3.jpg: plain",
            "line 8 csv-malformed");
    assertThat(found.get(1).text()).contains("3 cells").contains("header 2");
  }

  @Test
  void aQuoteThatIsNotClosedCostsItsRowOnly() throws IOException {
    String rows =
        """
        filepath,title
        img/0.jpg,first
        img/1.jpg,"Love you till the end
        img/2.jpg,third
        img/3.jpg,"fourth, quoted"
        img/4.jpg,fifth
        """;

    assertThat(read("t.csv", rows))
        .containsExactly(
            "img/0.jpg: first",
            "line 3 csv-malformed",
            "img/2.jpg: third",
            "img/3.jpg: fourth, quoted",
            "img/4.jpg: fifth");
    assertThat(read("t.csv", "filepath,title\nimg/0.jpg,first\nimg/1.jpg,\"open"))
        .containsExactly("img/0.jpg: first", "line 3 csv-malformed");
    assertThat(read("t.csv", "filepath,title\nimg/0.jpg,\"open\nimg/1.jpg,\"open\nimg/2.jpg,c\n"))
        .containsExactly("line 2 csv-malformed", "line 3 csv-malformed", "img/2.jpg: c");
  }

  @Test
  void textAfterAClosingQuoteCostsItsRowOnly() throws IOException {
    assertThat(
            read("t.csv", "filepath,title\nimg/0.jpg,\"Sit\" said the man\nimg/1.jpg,a 5\" nail\n"))
        .containsExactly("line 2 csv-malformed", "img/1.jpg: a 5\" nail");
  }

  @Test
  void aQuotedCellGoesOnNoFurtherThanACaptionMay() throws IOException {
    String lines = "word word\n".repeat(100);
    StringBuilder table = new StringBuilder("filepath,title\nimg/0.jpg,\"");
    table.append(lines).append("\"\nimg/1.jpg,\"").append(lines.repeat(2)).append("\"\n");
    table.append("img/2.jpg,after\n");

    List<String> found = read("t.csv", table.toString());

    // 200 lines without an image each, the closing quote, and what follows it.
    assertThat(found.get(0)).isEqualTo("img/0.jpg: " + lines);
    assertThat(found.get(1)).isEqualTo("line 103 csv-malformed");
    assertThat(found).hasSize(1 + 200 + 1 + 1);
    assertThat(found.get(202)).isEqualTo("img/2.jpg: after");
  }

  @Test
  void aRowThatIsTooLongIsPassedOver() throws IOException {
    String table = "filepath,title\nimg/0.jpg," + "x".repeat(300_000) + "\nimg/1.jpg,b\n";

    Path file = folder.resolve("t.csv");
    Files.writeString(file, table);
    io.github.kklip.config.Settings settings =
        io.github.kklip.config.Settings.load(
            List.of(),
            List.of(
                "ingest.max-bytes = 65536",
                "ingest.sources = [{format = csv, path = \"" + file + "\"}]"));
    SourceReader reader = SourceFormats.reader(settings.ingest().sources().get(0), settings);
    List<String> found = new ArrayList<>();
    try (Members members =
        reader.open(
            new org.apache.hadoop.conf.Configuration(false),
            Unit.whole(0, file.toUri().toString()))) {
      for (Member member = members.next(); member != null; member = members.next()) {
        found.add(
            member.problems().isEmpty()
                ? member.captions().get(0).text()
                : member.key() + " " + member.problems().get(0).reason());
      }
    }

    assertThat(found).containsExactly("line 2 member-too-large", "b");
  }

  @Test
  void aTsvHasNoQuotingUnlessItIsSet() throws IOException {
    String rows = "filepath\ttitle\nimg/0.jpg\t\"Love you\nimg/1.jpg\t\"a \"\"b\"\"\"\n";

    assertThat(read("t.tsv", rows))
        .containsExactly("img/0.jpg: \"Love you", "img/1.jpg: \"a \"\"b\"\"\"");
    assertThat(read("t.tsv.gz", gzip(rows.getBytes(StandardCharsets.UTF_8))))
        .containsExactly("img/0.jpg: \"Love you", "img/1.jpg: \"a \"\"b\"\"\"");
    assertThat(read("t.csv", rows)).containsExactly("line 2 csv-malformed", "img/1.jpg: a \"b\"");
    assertThat(read("t.tsv", rows, "quote = \"\\\"\""))
        .containsExactly("line 2 csv-malformed", "img/1.jpg: a \"b\"");
    assertThat(read("t.csv", rows, "quote = \"\"")).hasSize(2).contains("img/0.jpg: \"Love you");
    assertThat(
            read(
                "t.csv",
                "filepath;title\nimg/0.jpg;'it''s; so'\n",
                "separator = \";\"",
                "quote = \"'\""))
        .containsExactly("img/0.jpg: it's; so");
  }

  @Test
  void anEscapeMakesTheNextByteACharacter() throws IOException {
    assertThat(
            read(
                "t.csv",
                "filepath,title\nimg/0.jpg,a\\, b\nimg/1.jpg,\"\\\"c\\\", d\"\nimg/2.jpg,\\\\e\n",
                "escape = \"\\\\\""))
        .containsExactly("img/0.jpg: a, b", "img/1.jpg: \"c\", d", "img/2.jpg: \\e");
  }

  @Test
  void tablesWithoutAHeaderGetTheNamesOfTheirColumns() throws IOException {
    String rows = "a bus station\timg/0.jpg\nsierra\timg/1.jpg\n";

    assertThat(read("t.tsv", rows, "header = \"title, filepath\""))
        .containsExactly("img/0.jpg: a bus station", "img/1.jpg: sierra");
    assertThat(read("t.tsv", rows, "header = false, image-column = 2, caption-column = 1"))
        .containsExactly("img/0.jpg: a bus station", "img/1.jpg: sierra");
    assertThat(read("t.tsv", "\uFEFF" + rows, "header = \"title, filepath\""))
        .containsExactly("img/0.jpg: a bus station", "img/1.jpg: sierra");
    List<Candidate> none = SourceRows.read("csv", folder.resolve("t.tsv"));
    assertThat(none).hasSize(1);
    assertThat(none.get(0).reason()).isEqualTo("schema");
    assertThat(none.get(0).text())
        .contains("[a bus station, img/0.jpg]")
        .contains("set image-column and caption-column, and header to the names");
    assertThat(read("t.csv", "filepath,title,title\nimg/0.jpg,a,b\n")).containsExactly(" schema");
  }

  @ParameterizedTest
  @ValueSource(strings = {"\n", "\r\n", "\r"})
  void linesEndAsTheFirstOneDoes(String end) throws IOException {
    String table =
        "filepath,title"
            + end
            + "img/0.jpg,\"a"
            + end
            + "b\""
            + end
            + end
            + "img/1.jpg,c"
            + end
            + "img/2.jpg,d,e"
            + end
            + "img/3.jpg,last";

    assertThat(read("t.csv", table))
        .containsExactly(
            "img/0.jpg: a" + end + "b", "img/1.jpg: c", "line 6 csv-malformed", "img/3.jpg: last");
  }

  @Test
  void aLoneCarriageReturnIsACharacterWhereLinesEndWithLineFeeds() throws IOException {
    assertThat(read("t.csv", "filepath,title\nimg/0.jpg,a\rb\nimg/1.jpg,c\r\n"))
        .containsExactly("img/0.jpg: a\rb", "img/1.jpg: c");
  }

  @ParameterizedTest
  @ValueSource(strings = {"UTF-16LE", "UTF-16BE", "UTF-32LE", "UTF-32BE", "UTF-8"})
  void unicodeIsFoundByItself(String name) throws IOException {
    String table = "filepath,title\nimg/0.jpg,\u00e9t\u00e9 \uD83D\uDC15 \u72ac\nimg/1.jpg,b\n";
    List<String> wanted = List.of("img/0.jpg: \u00e9t\u00e9 \uD83D\uDC15 \u72ac", "img/1.jpg: b");

    assertThat(read("t.csv", ("\uFEFF" + table).getBytes(Charset.forName(name)))).isEqualTo(wanted);
    if (name.startsWith("UTF-16")) {
      assertThat(read("t.csv", table.getBytes(Charset.forName(name)))).isEqualTo(wanted);
      // Half a character is in no encoding: it costs the one caption.
      byte[] broken = table.getBytes(Charset.forName(name));
      int at = 2 * table.indexOf('\uDC15');
      broken[at] = 0;
      broken[at + 1] = 0;
      assertThat(read("t.csv", broken))
          .containsExactly("img/0.jpg line 2 caption-encoding", "img/1.jpg: b");
    }
  }

  @Test
  void headersOfOddForms() throws IOException {
    assertThat(read("t.csv", "\uFEFF\"filepath\",\"title\"\r\nimg/0.jpg,a\r\n\r\n\r\n"))
        .containsExactly("img/0.jpg: a");
    assertThat(read("t.csv", "filepath,title,title\nimg/0.jpg,a,b\n")).containsExactly(" schema");
    assertThat(read("t.csv", "filepath,title,x,x\nimg/0.jpg,a,1,2\n"))
        .containsExactly("img/0.jpg: a");
    assertThat(read("t.csv", "img/0.jpg,a\n", "header = \"caption,url\""))
        .containsExactly(" schema");
    assertThat(read("t.csv.gz", "filepath,title\nimg/0.jpg,a\n")).containsExactly("img/0.jpg: a");
  }

  @Test
  void zeroBytesAreInNoName() throws IOException {
    assertThat(read("t.csv", "filepath,title\nimg/0.jpg,a\0b\nimg/0\0.jpg,c\nimg/1.jpg,d\n"))
        .hasSize(3)
        .contains("img/1.jpg: d")
        .noneMatch(line -> line.endsWith(": c"));
  }

  @Test
  void otherEncodingsAreNamed() throws IOException {
    String table = "filepath,title\nimg/0.jpg,\u00e9t\u00e9 \u2019\nimg/1.jpg,b\n";
    byte[] bytes = table.getBytes(Charset.forName("windows-1252"));

    assertThat(read("t.csv", bytes))
        .containsExactly("img/0.jpg line 2 caption-encoding", "img/1.jpg: b");
    assertThat(read("t.csv", bytes, "encoding = windows-1252"))
        .containsExactly("img/0.jpg: \u00e9t\u00e9 \u2019", "img/1.jpg: b");
    // The second byte of this character is a vertical bar.
    assertThat(
            read(
                "t.csv",
                "filepath|title\nimg/0.jpg|\u30dd\nimg/1.jpg|b\n"
                    .getBytes(Charset.forName("Shift_JIS")),
                "encoding = Shift_JIS",
                "separator = \"|\""))
        .containsExactly("img/0.jpg: \u30dd", "img/1.jpg: b");
  }

  @Test
  void marksOfMissingValuesAreNoCaptions() throws IOException {
    Path file = folder.resolve("t.csv");
    Files.writeString(
        file,
        """
        filepath,title
        img/0.jpg,
        img/1.jpg,NaN
        img/2.jpg,nan
        img/3.jpg,None
        img/4.jpg," "
        img/5.jpg,"N/A"
        img/6.jpg,None of them
        ,a
        """);

    List<Candidate> found = SourceRows.read("csv", file);

    assertThat(found.subList(0, 6)).extracting(Candidate::reason).containsOnly("caption-missing");
    assertThat(found.get(1).place()).isEqualTo("img/1.jpg line 3");
    assertThat(found.get(1).text()).contains("NaN");
    assertThat(found.get(6).toString()).isEqualTo("img/6.jpg: None of them");
    assertThat(found.get(7).toString()).isEqualTo("line 9 line 9 no-image");
  }

  @Test
  void aLongTableIsTheSameHoweverItIsCut() throws IOException {
    StringBuilder table = new StringBuilder("filepath,title\n");
    List<String> wanted = new ArrayList<>();
    long line = 2;
    for (int i = 0; i < 3000; i++) {
      String image = "img/" + i % 7 + ".jpg";
      switch (i % 5) {
        case 0 -> {
          table.append(image).append(",\"row ").append(i).append("\nof \"\"two\"\" lines\"\n");
          wanted.add(image + ": row " + i + "\nof \"two\" lines");
          line++;
        }
        case 1 -> {
          table.append(image).append(",\"open ").append(i).append('\n');
          wanted.add("line " + line + " csv-malformed");
        }
        case 2 -> {
          table.append(image).append(",a, ").append(i).append("\n\n");
          wanted.add("line " + line++ + " csv-malformed");
        }
        default -> {
          table.append(image).append(",row ").append(i).append('\n');
          wanted.add(image + ": row " + i);
        }
      }
      line++;
    }
    byte[] bytes = table.toString().getBytes(StandardCharsets.UTF_8);

    assertThat(read("t.csv", bytes)).isEqualTo(wanted);
    assertThat(read("t.csv.gz", gzip(bytes))).isEqualTo(wanted);
    assertThat(read("t.csv", table.toString().getBytes(StandardCharsets.UTF_16))).isEqualTo(wanted);
  }

  @Test
  void aCutGzipGivesItsRowsAndOneReject() throws IOException {
    StringBuilder table = new StringBuilder("filepath,title\n");
    for (int i = 0; i < 2000; i++) {
      table.append("img/").append(i % 7).append(".jpg,").append(i * 7919 % 10007).append('\n');
    }
    byte[] zipped = gzip(table.toString().getBytes(StandardCharsets.UTF_8));

    List<String> found = read("t.csv.gz", Arrays.copyOf(zipped, zipped.length * 3 / 4));

    assertThat(found).hasSizeBetween(800, 1900);
    assertThat(found.get(found.size() - 1)).isEqualTo(" cut-short");
    assertThat(found.subList(0, found.size() - 1)).noneMatch(row -> row.contains("cut-short"));
  }

  @Test
  void aBombIsNotUnpacked() throws IOException {
    StringBuilder table = new StringBuilder("filepath,title\nimg/0.jpg,a\n");
    table.append("\n".repeat(40 << 20));
    table.append("img/1.jpg,b\n");

    List<Candidate> found =
        SourceRows.read(
            "csv",
            Files.write(
                folder.resolve("t.csv.gz"),
                gzip(table.toString().getBytes(StandardCharsets.US_ASCII))));

    assertThat(found).extracting(Candidate::toString).containsExactly("img/0.jpg: a", " cut-short");
    assertThat(found.get(1).text()).contains("ingest.max-expansion");
  }

  @Test
  void aFileThatIsNoTextIsNamed() throws IOException {
    List<Candidate> found =
        SourceRows.read(
            "csv",
            Files.writeString(
                folder.resolve("t.csv"),
                "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"));

    assertThat(found).hasSize(1);
    assertThat(found.get(0).reason()).isEqualTo("unreadable");
    assertThat(found.get(0).text()).contains("git lfs pull");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "separator = ab | separator = ab: it must be one ASCII character",
        "separator = é | it must be one ASCII character",
        "quote = \"''\" | quote = '': it must be",
        "escape = ab | escape = ab: it must be",
        "header = \"\" | header = : it must be true, false or the names of the columns",
        "encoding = klingon | encoding = klingon: it must be auto or the name of a charset",
        "encoding = \"?\" | it must be auto or the name of a charset",
      })
  void keysAreChecked(String key, String message) {
    assertThatThrownBy(() -> SourceRows.settings("csv", folder.resolve("t.csv"), key))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining(message);
  }
}
