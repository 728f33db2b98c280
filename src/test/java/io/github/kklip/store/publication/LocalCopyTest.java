package io.github.kklip.store.publication;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LocalCopyTest {
  /** The local disk under another scheme: to its users a file system of another machine. */
  public static class ElsewhereFileSystem extends RawLocalFileSystem {
    @Override
    public URI getUri() {
      return URI.create("elsewhere:///");
    }

    @Override
    public String getScheme() {
      return "elsewhere";
    }
  }

  /** Sends other bytes than it lists: a replaced file, or a file system that lies. */
  public static final class ReplacedFileSystem extends ElsewhereFileSystem {
    @Override
    public URI getUri() {
      return URI.create("replaced:///");
    }

    @Override
    public String getScheme() {
      return "replaced";
    }

    @Override
    public FileStatus[] listStatus(org.apache.hadoop.fs.Path path) throws IOException {
      FileStatus[] listed = super.listStatus(path);
      for (int i = 0; i < listed.length; i++) {
        String name = listed[i].getPath().getName();
        listed[i] =
            new FileStatus(
                LISTED,
                false,
                1,
                1 << 20,
                0,
                new org.apache.hadoop.fs.Path(path, name.equals("evil") ? "a\\b" : name));
      }
      return listed;
    }
  }

  private static final int LISTED = 5;

  @TempDir Path folder;

  @Test
  void copiesNoMoreThanIsListed() throws IOException {
    Configuration configuration = new Configuration();
    configuration.set("fs.replaced.impl", ReplacedFileSystem.class.getName());
    Path file = folder.resolve("config.json");
    for (int length : new int[] {4, 6, 3 << 20}) {
      Files.write(file, new byte[length]);
      assertThatThrownBy(
              () -> LocalCopy.of(configuration, "replaced://" + folder, name -> true).close())
          .isInstanceOf(IOException.class)
          .hasMessageContaining(
              length < LISTED
                  ? "because 4 of 5 bytes arrived. Run the job again."
                  : "because it has more than the 5 bytes that its folder lists.");
    }
    Files.write(file, new byte[LISTED]);
    try (LocalCopy copy = LocalCopy.of(configuration, "replaced://" + folder, name -> true)) {
      assertThat(copy.path().resolve("config.json")).hasBinaryContent(new byte[LISTED]);
    }
    Files.write(folder.resolve("evil"), new byte[LISTED]);
    assertThatThrownBy(
            () -> LocalCopy.of(configuration, "replaced://" + folder, name -> true).close())
        .isInstanceOf(IOException.class)
        .hasMessageContaining("Cannot use the file name ");
  }

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
