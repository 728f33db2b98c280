package io.github.kklip.ingest.sources;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.config.Settings;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.function.Consumer;
import org.apache.hadoop.conf.Configuration;
import org.apache.parquet.column.ParquetProperties.WriterVersion;
import org.apache.parquet.example.data.Group;
import org.apache.parquet.example.data.simple.SimpleGroupFactory;
import org.apache.parquet.hadoop.ParquetWriter;
import org.apache.parquet.hadoop.example.ExampleParquetWriter;
import org.apache.parquet.hadoop.metadata.CompressionCodecName;
import org.apache.parquet.io.api.Binary;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.MessageTypeParser;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class ParquetReaderTest {
  private static final byte[] PNG = Png.encode(new byte[3 * 4], 2, 2);
  private static final byte[] OTHER = Png.encode(new byte[3 * 6], 3, 2);

  @TempDir Path folder;

  @Test
  void huggingFacesParquetOfAWebDatasetIsFoundByItself() throws Exception {
    for (String column : List.of("jpg", "png", "webp", "jpeg")) {
      duck(
          "SELECT "
              + blob(PNG)
              + " AS \"__key__\", {'bytes': "
              + blob(PNG)
              + ", 'path': 'a'} AS "
              + column
              + ", {'url': 'x'} AS json, 'a text' AS txt, "
              + blob(OTHER)
              + " AS \"seg.png\"");
      assertThat(read()).as(column).containsExactly("row group 0 row 0: 2x2: a text");
    }
  }

  @Test
  void aFieldOfJsonIsTheCaptionWhereThereIsNoText() throws Exception {
    duck("SELECT {'bytes': " + blob(PNG) + ", 'path': 'a'} AS jpg, {'caption': 'of json'} AS json");
    assertThat(read()).containsExactly("row group 0 row 0: 2x2: of json");
  }

  @ParameterizedTest
  @ValueSource(strings = {"a.png", "deep.a.png", "A.PNG"})
  void namesHaveDots(String name) throws Exception {
    duck("SELECT " + blob(PNG) + " AS \"" + name + "\", 'x' AS \"cap.tion.en\"");
    assertThat(
            read(
                "image-column = \"" + name.toLowerCase(java.util.Locale.ROOT) + "\"",
                "caption-column = cap.tion.en"))
        .containsExactly("row group 0 row 0: 2x2: x");
  }

  @Test
  void aNameThatIsAColumnsOwnComesBeforeAPath() throws Exception {
    duck(
        "SELECT {'png': " + blob(OTHER) + "} AS a, " + blob(PNG) + " AS \"a.png\", 'x' AS caption");
    assertThat(read("image-column = a.png")).containsExactly("row group 0 row 0: 2x2: x");
  }

  @Test
  void aListOfImagesNeedsAChoiceOnlyWhereThereIsOne() throws Exception {
    duck(
        "SELECT unnest([["
            + struct(PNG)
            + "], ["
            + struct(OTHER)
            + ", NULL, "
            + struct(PNG)
            + "], [], NULL]) AS images, ['one', NULL, 'two'] AS captions");

    assertThat(read())
        .containsExactly(
            "row group 0 row 0: 2x2: one, two",
            "row group 0 row 1: ambiguous-sample the row has 3 images: set image-index to the number of one, from 0 on, or to all",
            "row group 0 row 2: no-image the image is null: one, two",
            "row group 0 row 3: no-image the image is null: one, two");
    assertThat(read("image-index = 2"))
        .containsExactly(
            "row group 0 row 0: no-image the row has 1 images, none has the number 2: one, two",
            "row group 0 row 1: 2x2: one, two",
            "row group 0 row 2: no-image the image is null: one, two",
            "row group 0 row 3: no-image the image is null: one, two");
    assertThat(read("image-index = all"))
        .containsExactly(
            "row group 0 row 0: 2x2: one, two",
            "row group 0 row 1 image 0: 3x2: one, two",
            "row group 0 row 1 image 1: no-image the image is null: one, two",
            "row group 0 row 1 image 2: 2x2: one, two",
            "row group 0 row 2: no-image the image is null: one, two",
            "row group 0 row 3: no-image the image is null: one, two");
  }

  @Test
  void aListOfBytesIsReadToo() throws Exception {
    duck("SELECT [" + blob(OTHER) + ", " + blob(PNG) + "] AS views, 'x' AS caption");
    assertThat(read("image-column = views", "image-index = 1"))
        .containsExactly("row group 0 row 0: 2x2: x");
  }

  @Test
  void listsOfOlderWritersAreLists() throws Exception {
    example(
        """
        message m {
          required group images (LIST) { repeated binary array; }
          repeated binary texts (UTF8);
        }
        """,
        WriterVersion.PARQUET_1_0,
        CompressionCodecName.UNCOMPRESSED,
        row -> {
          row.addGroup("images").append("array", Binary.fromConstantByteArray(PNG));
          row.append("texts", "one");
          row.append("texts", "two");
        });
    assertThat(read()).containsExactly("row group 0 row 0: 2x2: one, two");

    example(
        """
        message m {
          required group images (LIST) {
            repeated group array { required binary bytes; }
          }
          required group texts (LIST) {
            repeated group bag { optional binary array_element (UTF8); }
          }
        }
        """,
        WriterVersion.PARQUET_1_0,
        CompressionCodecName.UNCOMPRESSED,
        row -> {
          row.addGroup("images")
              .addGroup("array")
              .append("bytes", Binary.fromConstantByteArray(OTHER));
          row.addGroup("texts").addGroup("bag").append("array_element", "three");
        });
    assertThat(read()).containsExactly("row group 0 row 0: 3x2: three");
  }

  @ParameterizedTest
  @EnumSource(
      value = CompressionCodecName.class,
      names = {"UNCOMPRESSED", "SNAPPY", "GZIP", "ZSTD", "LZ4_RAW", "LZ4"})
  void codecsAndBothVersionsOfPagesAreRead(CompressionCodecName codec) throws Exception {
    for (WriterVersion version : WriterVersion.values()) {
      example(
          "message m { optional binary image; required binary caption (UTF8); }",
          version,
          codec,
          row -> {
            row.append("image", Binary.fromConstantByteArray(PNG));
            row.append("caption", "x");
          });
      assertThat(read()).containsExactly("row group 0 row 0: 2x2: x");
    }
  }

  @Test
  void base64IsReadWhereASettingSaysSo() throws Exception {
    String text = Base64.getEncoder().encodeToString(PNG);
    String lines = Base64.getMimeEncoder(16, new byte[] {'\r', '\n'}).encodeToString(PNG);
    String url = Base64.getUrlEncoder().withoutPadding().encodeToString(PNG);
    duck(
        "SELECT unnest(['%s', '%s', '%s', 'data:image/png;base64,%s', 'no base64!']) AS image, 'x' AS caption"
            .formatted(text, lines, url, text));
    assertThat(read("image-content = base64"))
        .startsWith(
            "row group 0 row 0: 2x2: x",
            "row group 0 row 1: 2x2: x",
            "row group 0 row 2: 2x2: x",
            "row group 0 row 3: 2x2: x")
        .element(4)
        .asString()
        .startsWith("row group 0 row 4: image-undecodable it is no base64: ");
  }

  @Test
  void anotherContentThanBytesIsNamedWithTheKeyToSet() throws Exception {
    duck(
        "SELECT unnest(['%s', 'data:image/png;base64,%s', 'images/1.jpg', 'https://example.org/1.jpg']) AS image, 'x' AS caption"
            .formatted(
                Base64.getEncoder().encodeToString(PNG), Base64.getEncoder().encodeToString(PNG)));
    assertThat(read())
        .containsExactly(
            "row group 0 row 0: schema the image is the base64 text of an image, not its bytes: set image-content = base64: x",
            "row group 0 row 1: schema the image is a data: URI, not its bytes: set image-content = base64: x",
            "row group 0 row 2: schema the image is the path of a file as text, not its bytes: set image-content = path: x",
            "row group 0 row 3: not-a-file the image is a URL as text: download what it points at before: x");
  }

  @Test
  void pathsAreReadWhereASettingSaysSo() throws Exception {
    Files.write(folder.resolve("1.png"), PNG);
    Files.write(Files.createDirectory(folder.resolve("root")).resolve("2.png"), OTHER);
    duck(
        "SELECT unnest([{'bytes': NULL::BLOB, 'path': '1.png'}, {'bytes': NULL::BLOB, 'path': '2.png'}, {'bytes': NULL::BLOB, 'path': 'https://a.b/1.png'}, {'bytes': NULL::BLOB, 'path': NULL}]) AS image, 'x' AS caption");
    assertThat(read("image-content = path"))
        .satisfiesExactly(
            row -> assertThat(row).isEqualTo("row group 0 row 0: 2x2: x"),
            row -> assertThat(row).startsWith("row group 0 row 1: missing-file"),
            row -> assertThat(row).startsWith("row group 0 row 2: not-a-file"),
            row -> assertThat(row).startsWith("row group 0 row 3: no-image"));
    assertThat(read("image-content = path", "image-root = \"" + folder.resolve("root") + "\""))
        .contains("row group 0 row 1: 3x2: x");
  }

  @Test
  void aMapIsNoListOfCaptions() throws Exception {
    duck("SELECT " + blob(PNG) + " AS image, MAP {'en': 'a'} AS caption");
    assertThat(read()).singleElement().asString().contains("schema", "caption: map");
  }

  @Test
  void aSchemaProblemListsTheColumnsAndTheKey() throws Exception {
    duck(
        "SELECT 1::INTEGER AS image, {'x': {'y': "
            + blob(PNG)
            + "}} AS deep, 'a' AS caption, [[1]] AS numbers");
    assertThat(read())
        .containsExactly(
            ": schema the file has the columns [image: int32, deep.x.y: bytes, caption: text, numbers: list of list of int32], and none is one of image, jpg, jpeg, png, webp, images, img with bytes: set image-column");
    assertThat(read("image-column = deep.x.y", "caption-column = none"))
        .singleElement()
        .asString()
        .endsWith("and none is none with texts: set caption-column");
    assertThat(read("image-column = deep.x.y")).containsExactly("row group 0 row 0: 2x2: a");
  }

  private void duck(String select) throws SQLException {
    try (Connection connection = DriverManager.getConnection("jdbc:duckdb:");
        Statement statement = connection.createStatement()) {
      statement.execute("COPY (" + select + ") TO '" + file() + "' (FORMAT PARQUET)");
    }
  }

  private static String blob(byte[] bytes) {
    return "from_base64('" + Base64.getEncoder().encodeToString(bytes) + "')";
  }

  private static String struct(byte[] bytes) {
    return "{'bytes': " + blob(bytes) + ", 'path': 'p'}";
  }

  private void example(
      String schema, WriterVersion version, CompressionCodecName codec, Consumer<Group> row)
      throws IOException {
    MessageType type = MessageTypeParser.parseMessageType(schema);
    try (ParquetWriter<Group> writer =
        ExampleParquetWriter.builder(new org.apache.hadoop.fs.Path(file().toUri()))
            .withConf(new Configuration())
            .withType(type)
            .withWriterVersion(version)
            .withCompressionCodec(codec)
            .withWriteMode(org.apache.parquet.hadoop.ParquetFileWriter.Mode.OVERWRITE)
            .build()) {
      Group group = new SimpleGroupFactory(type).newGroup();
      row.accept(group);
      writer.write(group);
    }
  }

  private Path file() {
    return folder.resolve("t.parquet");
  }

  private List<String> read(String... keys) throws IOException {
    List<String> all = new ArrayList<>(List.of(keys));
    all.add("format = parquet");
    all.add("path = \"" + file() + "\"");
    Settings settings =
        Settings.load(List.of(), List.of("ingest.sources=[{" + String.join(", ", all) + "}]"));
    SourceReader reader = SourceFormats.reader(settings.ingest().sources().get(0), settings);
    Configuration configuration = new Configuration();
    List<String> samples = new ArrayList<>();
    for (Unit unit : reader.plan(configuration, Unit.whole(0, file().toString()))) {
      try (Members members = reader.open(configuration, unit)) {
        for (Member member = members.next(); member != null; member = members.next()) {
          samples.add(text(member));
        }
      }
    }
    return samples;
  }

  /** Key, the image's size or what is wrong, and the captions. */
  private static String text(Member member) {
    List<String> parts = new ArrayList<>(List.of(member.key()));
    for (Problem problem : member.problems()) {
      parts.add(problem.reason() + " " + problem.detail());
    }
    Member.Picture picture = member.picture();
    if (picture != null) {
      parts.add(
          picture.problem() == null
              ? size(picture.bytes())
              : picture.problem().reason() + " " + picture.problem().detail());
      parts.add(String.join(", ", member.captions().stream().map(Member.Caption::text).toList()));
    }
    return String.join(": ", parts);
  }

  private static String size(byte[] png) {
    assertThat(new String(png, 1, 3, StandardCharsets.US_ASCII)).isEqualTo("PNG");
    return png[19] + "x" + png[23];
  }
}
