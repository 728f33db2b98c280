package io.github.kklip.ingest.sources;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.SharedData;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Archives and folders that programs of the same kind read wrongly, where they are present. */
class SharedCasesTest {
  @TempDir Path folder;

  private static SourceText archive(String name) throws IOException {
    return SourceText.read(
        "webdataset", SharedData.shownCase(name).toAbsolutePath().normalize(), "");
  }

  private static List<String> pairs(SourceText text) {
    return text.lines().stream().filter(line -> line.contains(" = ")).toList();
  }

  @Test
  void archivesGiveTheirPairsAndCountTheRest() throws IOException {
    SourceText mac = archive("I01/mac.tar");
    assertThat(mac.lines()).hasSize(3).allMatch(line -> line.contains(".jpg = "));
    assertThat(mac.notes()).isEqualTo(Map.of(Note.CLUTTER, 6));
    assertThat(pairs(archive("I03/recap.tar"))).hasSize(2).noneMatch(line -> line.contains("OCR"));
    SourceText masks = archive("I05/multi.tar");
    assertThat(masks.lines()).hasSize(2).allMatch(line -> line.contains(".jpg = "));
    assertThat(masks.notes()).isEqualTo(Map.of(Note.OTHER_PICTURES, 4));
    SourceText dots = archive("I06/dots.tar");
    assertThat(dots.lines())
        .hasSize(4)
        .allMatch(line -> line.matches("photos/IMG\\.000\\d\\.jpg = .*"));
    for (String name : List.of("latin1", "pax", "gnu")) {
      assertThat(pairs(archive("I08/" + name + ".tar"))).as(name).hasSize(2);
    }
    for (String packing : List.of("zst", "bz2", "xz")) {
      SourceText packed = archive("I10/s.tar." + packing);
      assertThat(packed.lines()).as(packing).isNotEmpty().allMatch(line -> line.contains(" = "));
    }
    assertThat(archive("I35/links.tar").lines())
        .hasSize(2)
        .allMatch(line -> line.contains(".jpg = "));
    assertThat(archive("I36/cat.tar").lines())
        .hasSize(2)
        .allMatch(line -> line.contains(".jpg = "));
    // What cannot be decoded is a candidate, and no member of these is passed over.
    assertThat(archive("I29/formats.tar").lines()).hasSize(10);
    assertThat(archive("I29/formats.tar").notes()).isEmpty();
  }

  @Test
  void aFolderOfOddNamesGivesEachOfItsPictures() throws IOException {
    unpack("I27.tar");
    SourceText text = SourceText.read("folder", folder.resolve("f"), "");
    assertThat(text.lines())
        .hasSize(24)
        .contains("UP.JPG = i27 upper txt", "cap.jpg = i27 caption ext", "dbl.jpg = i27 double ext")
        .noneMatch(line -> line.contains("checkpoint") || line.contains("__MACOSX"));
    assertThat(text.notes()).containsEntry(Note.CLUTTER, 6);
  }

  private void unpack(String name) throws IOException {
    try (InputStream file = Files.newInputStream(SharedData.shownCase(name));
        TarArchiveInputStream tar = new TarArchiveInputStream(file, "UTF-8")) {
      for (TarArchiveEntry entry = tar.getNextEntry(); entry != null; entry = tar.getNextEntry()) {
        Path target = folder.resolve(entry.getName());
        if (entry.isDirectory()) {
          Files.createDirectories(target);
        } else {
          Files.createDirectories(target.getParent());
          Files.copy(tar, target);
        }
      }
    }
  }
}
