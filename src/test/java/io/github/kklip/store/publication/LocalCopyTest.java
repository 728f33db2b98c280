package io.github.kklip.store.publication;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LocalCopyTest {
  /** The local disk under another scheme: to its users a file system of another machine. */
  public static final class ElsewhereFileSystem extends RawLocalFileSystem {
    @Override
    public URI getUri() {
      return URI.create("elsewhere:///");
    }

    @Override
    public String getScheme() {
      return "elsewhere";
    }
  }

  @TempDir Path folder;

  @Test
  void copiesWhatIsWantedAndRemovesIt() throws IOException {
    Files.writeString(folder.resolve("config.json"), "{}");
    Files.writeString(folder.resolve("huge.bin"), "not wanted");
    Configuration configuration = new Configuration();
    configuration.set("fs.elsewhere.impl", ElsewhereFileSystem.class.getName());
    Path path;
    try (LocalCopy copy =
        LocalCopy.of(configuration, "elsewhere://" + folder, name -> name.endsWith(".json"))) {
      path = copy.path();
      assertThat(path).isNotEqualTo(folder).isDirectoryNotContaining("glob:**.bin");
      assertThat(path.resolve("config.json")).hasContent("{}");
    }
    assertThat(path).doesNotExist();
    assertThat(folder.resolve("config.json")).exists();
  }

  @Test
  void aLocalFolderIsUsedAsItIs() throws IOException {
    Files.writeString(folder.resolve("config.json"), "{}");
    try (LocalCopy copy = LocalCopy.of(new Configuration(), folder.toString(), name -> false)) {
      assertThat(copy.path()).isEqualTo(folder);
    }
    assertThat(folder.resolve("config.json")).exists();
    assertThatThrownBy(
            () -> LocalCopy.of(new Configuration(), folder + "/config.json", name -> true))
        .hasMessageEndingWith("because there is no such folder. Give one that is there.");
  }
}
