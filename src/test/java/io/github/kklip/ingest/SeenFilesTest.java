package io.github.kklip.ingest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.DatasetManifest.Generation;
import io.github.kklip.store.ProcessingSettings;
import io.github.kklip.store.Takedowns;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Lists of lines whose names say their content. */
class SeenFilesTest {
  private static final DatasetManifest EMPTY =
      DatasetManifest.empty(new ProcessingSettings(new TreeMap<>()));

  @TempDir Path folder;

  private DatasetFolder dataset() {
    return new DatasetFolder(folder.toString(), new Configuration());
  }

  private static DatasetManifest with(List<String> seenFiles, List<String> removed) {
    return new DatasetManifest(
        DatasetManifest.FORMAT,
        1,
        1,
        EMPTY.settings(),
        List.of(
            new Generation(
                0, 0, 0, 0, new TreeMap<>(), List.of(), List.of(), List.of(), seenFiles)),
        new TreeMap<>(),
        new TreeMap<>(),
        null,
        removed);
  }

  private void damage(String name) throws IOException {
    Path file = folder.resolve(name);
    byte[] bytes = Files.readAllBytes(file);
    bytes[3] ^= 1;
    Files.write(file, bytes);
  }

  @Test
  void aFlippedBitOfAFingerprintIsRefused() throws IOException {
    List<String> files = SeenFiles.write(dataset(), List.of("0123456789", "abcdef"));
    DatasetManifest manifest = with(files, List.of());
    assertThat(SeenFiles.read(dataset(), manifest))
        .containsExactlyInAnyOrder("0123456789", "abcdef");

    damage(files.get(0));
    assertThatThrownBy(() -> SeenFiles.read(dataset(), manifest))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("Cannot read file:")
        .hasMessageContaining(files.get(0))
        .hasMessageContaining("It is damaged: bring it back from a copy.");
  }

  @Test
  void theNamesOfFormat1SayNothing() throws IOException {
    Files.createDirectory(folder.resolve("sources"));
    Files.writeString(folder.resolve("sources/00000.txt"), "0123456789\n");
    assertThat(SeenFiles.read(dataset(), with(List.of("sources/00000.txt"), List.of())))
        .containsExactly("0123456789");
  }

  @Test
  void aFlippedBitOfATakedownIsRefused() throws IOException {
    String id = "0123456789abcdef0123456789abcdef";
    String file = Takedowns.write(dataset(), new TreeSet<>(List.of(id)));
    DatasetManifest manifest = with(List.of(), List.of(file));
    assertThat(Takedowns.read(dataset(), manifest)).containsExactly(id);

    damage(file);
    assertThatThrownBy(() -> Takedowns.read(dataset(), manifest))
        .isInstanceOf(IOException.class)
        .hasMessageContaining(file)
        .hasMessageContaining("It is damaged: bring it back from a copy.");
  }
}
