package io.github.kklip.ingest.sources;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.config.Settings;
import io.github.kklip.ingest.sources.Member.Picture;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class ImageFilesTest {
  @TempDir java.nio.file.Path folder;

  /** A store with names of its own; it gives what is in the local folder of the same path. */
  public static final class OtherStore extends RawLocalFileSystem {
    @Override
    public String getScheme() {
      return "other";
    }

    @Override
    public URI getUri() {
      return URI.create("other://bucket");
    }

    @Override
    protected void checkPath(Path path) {
      // Every path is of this store.
    }
  }

  private static Configuration configuration() {
    Configuration configuration = new Configuration(false);
    configuration.set("fs.other.impl", OtherStore.class.getName());
    configuration.setBoolean("fs.other.impl.disable.cache", true);
    return configuration;
  }

  private Picture picture(String table, String root, String cell) throws IOException {
    Settings settings =
        Settings.load(
            List.of(),
            List.of("ingest.sources = [{format = csv, path = \"" + table + "\"" + root + "}]"));
    return ImageFiles.of(configuration(), settings.ingest().sources().get(0), new Path(table), 1000)
        .picture(cell);
  }

  private static String outcome(Picture picture) {
    return picture.problem() == null ? "read" : picture.problem().reason();
  }

  private void file(String name) throws IOException {
    java.nio.file.Path file = folder.resolve(name);
    Files.createDirectories(file.getParent());
    Files.write(file, new byte[] {1});
  }

  @Test
  void namesAreRelativeToTheTable() throws IOException {
    file("in/img/a b#%?.jpg");
    file("in/img/12:30.jpg");
    file("in/12:30.jpg");
    file("in/a:b.jpg");
    file("other/c.jpg");
    String table = folder.resolve("in/t.csv").toString();

    for (String cell :
        List.of(
            "img/a b#%?.jpg",
            " img//./a b#%?.jpg ",
            "img/12:30.jpg",
            "12:30.jpg",
            "a:b.jpg",
            "../other/c.jpg",
            folder.resolve("other/c.jpg").toString(),
            folder.resolve("other/c.jpg").toUri().toString(),
            "file://" + folder.resolve("other/c.jpg"))) {
      assertThat(outcome(picture(table, "", cell))).as(cell).isEqualTo("read");
    }
    assertThat(outcome(picture(table, "", "img/gone.jpg"))).isEqualTo("missing-file");
    assertThat(outcome(picture(table, "", "img"))).isEqualTo("unreadable");
    assertThat(outcome(picture(table, "", " "))).isEqualTo("no-image");
    assertThat(outcome(picture(table, "", "/dev/zero"))).isEqualTo("not-a-file");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "http://example.invalid/a.jpg",
        "HTTPS://example.invalid/a.jpg",
        "http:/a.jpg",
        "http:a.jpg",
        "https:",
        "ftp://example.invalid/a.jpg",
        "s3a://bucket/a.jpg",
        "s3://bucket/a.jpg",
        "hdfs://namenode/a.jpg",
        "hdfs:///a.jpg",
        "other://bucket/a.jpg",
        "jar:file:/a.jar!/b.jpg",
        "file://host/a.jpg",
        "data:image/png;base64,iVBORw0KGgo=",
        "s3a://key:secret@bucket/a.jpg",
      })
  void whatIsNotOnTheStoreIsNoFileAndIsNotFetched(String cell) throws IOException {
    Picture picture = picture(folder.resolve("t.csv").toString(), "", cell);

    if (cell.startsWith("jar:")) {
      // No scheme without a slash after it but a name with a colon, which is not there.
      assertThat(outcome(picture)).isEqualTo("missing-file");
    } else {
      assertThat(outcome(picture)).isEqualTo("not-a-file");
      assertThat(picture.problem().detail())
          .contains("nothing is fetched from elsewhere")
          .contains("set image-root");
    }
  }

  @Test
  void aTableOfAnotherStoreNamesNoLocalFile() throws IOException {
    file("in/a.jpg");
    String table = "other://bucket" + folder.resolve("in/t.csv");

    assertThat(outcome(picture(table, "", "a.jpg"))).isEqualTo("read");
    assertThat(outcome(picture(table, "", "other://bucket" + folder.resolve("in/a.jpg"))))
        .isEqualTo("read");
    assertThat(outcome(picture(table, "", folder.resolve("in/a.jpg").toString())))
        .isEqualTo("not-a-file");
    assertThat(outcome(picture(table, "", "/etc/passwd"))).isEqualTo("not-a-file");
    assertThat(outcome(picture(table, "", "file:///etc/passwd"))).isEqualTo("not-a-file");
    assertThat(outcome(picture(table, "", "other://secrets/a.jpg"))).isEqualTo("not-a-file");
  }

  @Test
  void imageRootIsWhereNamesBeginAndEnd() throws IOException {
    file("images/a.jpg");
    file("images/deep/b.jpg");
    file("images-2/c.jpg");
    file("in/a.jpg");
    String table = folder.resolve("in/t.csv").toString();
    String root = ", image-root = \"" + folder.resolve("images") + "\"";

    assertThat(outcome(picture(table, root, "a.jpg"))).isEqualTo("read");
    assertThat(outcome(picture(table, root, "deep/../deep/b.jpg"))).isEqualTo("read");
    assertThat(outcome(picture(table, root, folder.resolve("images/a.jpg").toString())))
        .isEqualTo("read");
    for (String cell :
        List.of(
            "../in/a.jpg",
            "../images-2/c.jpg",
            "deep/../../in/a.jpg",
            folder.resolve("in/a.jpg").toString(),
            "../../../../../../../../etc/passwd",
            "..")) {
      Picture picture = picture(table, root, cell);
      assertThat(outcome(picture)).as(cell).isEqualTo("not-a-file");
      assertThat(picture.problem().detail()).contains("leads out of image-root");
    }
    assertThat(
            outcome(
                picture(
                    table,
                    ", image-root = \"other://bucket" + folder.resolve("images") + "\"",
                    "a.jpg")))
        .isEqualTo("read");
  }

  @Test
  void theTextOfAnImageIsNamed() throws IOException {
    Picture picture =
        picture(folder.resolve("t.csv").toString(), "", "/9j/4AAQSkZJRgABAQ".repeat(40));

    assertThat(outcome(picture)).isEqualTo("not-a-file");
    assertThat(picture.problem().detail()).contains("base64");
    assertThat(picture.name().length()).isLessThan(150);
  }
}
