package io.github.kklip.store.publication;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NameEncodingTest {
  private static final Configuration CONFIGURATION = new Configuration();

  @TempDir private Path folder;

  /** Its names are bytes: the e with an accent of Latin-1 is no text in UTF-8. */
  private void makeLatin1() throws Exception {
    Process process =
        new ProcessBuilder("sh", "-c", "echo > \"$(printf 'caf\\351.png')\"")
            .directory(folder.toFile())
            .start();
    assertThat(process.waitFor()).isZero();
  }

  private org.apache.hadoop.fs.Path path() {
    return new org.apache.hadoop.fs.Path(folder.toString());
  }

  @Test
  void namesInUtf8AreText() throws IOException {
    assertThat(NameEncoding.problem()).as("tests run under UTF-8").isEmpty();
    Files.writeString(folder.resolve("caf\u00e9.png"), "");
    // A name may hold the very character that stands for bytes that are no text.
    Files.writeString(folder.resolve("\ufffd.png"), "");
    assertThat(Storage.of(CONFIGURATION, path()).listStatus(path())).hasSize(2);
  }

  @Test
  void aFolderWithANameThatIsNoTextIsNotListedWithoutIt() throws Exception {
    makeLatin1();
    try (Stream<Path> entries = Files.list(folder)) {
      assertThat(entries.map(Path::getFileName)).noneMatch(NameEncoding::isText);
    }
    assertThatIOException()
        .isThrownBy(() -> Storage.of(CONFIGURATION, path()).listStatus(path()))
        .withMessageStartingWith("Cannot list the folder " + folder + " because the name of a file")
        .withMessageContaining("caf\ufffd.png, is not in the encoding UTF-8")
        .withMessageEndingWith("Rename it to UTF-8.");
  }
}
