package io.github.kklip.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Offset.offset;

import io.github.kklip.SharedData;
import io.github.kklip.config.EvaluateSettings;
import io.github.kklip.eval.EvaluationResult.Classification;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ZeroShotTest {
  @Test
  void aClassIsTheMeanOfItsUnitEmbeddingsAtUnitLength() {
    // Two templates of one class: (1, 0) and (0, 1); of another: (0.6, 0.8) twice.
    float[] classes = ZeroShot.averaged(new float[] {1, 0, 0, 1, 0.6f, 0.8f, 0.6f, 0.8f}, 2, 2);
    float half = (float) Math.sqrt(0.5);
    assertThat(classes).containsExactly(new float[] {half, half, 0.6f, 0.8f}, offset(1e-6f));
  }

  @Test
  void figures() {
    Classification figures = ZeroShot.figures(new int[] {0, 3, 5, 0}, 10, 2);
    assertThat(figures).isEqualTo(new Classification(0.5, 0.75, 0.1, 0.5, 4, 10, 2));
  }

  @Test
  void clutterAndFoldersWithoutFilesAreNoClasses(@TempDir Path root) throws IOException {
    for (String file :
        List.of(
            "Caf\u00e9_au_lait/0.jpg",
            "Caf\u00e9_au_lait/Thumbs.db",
            "n01440764/0.jpg",
            "n01440764/._0.jpg",
            "t-shirt/0.jpg",
            "__MACOSX/._0.jpg",
            ".ipynb_checkpoints/0.jpg",
            "only_clutter/desktop.ini")) {
      Path path = root.resolve(file);
      Files.createDirectories(path.getParent());
      Files.writeString(path, "x");
    }
    Files.createDirectories(root.resolve("empty_class"));
    EvaluateSettings.ZeroShotSettings task =
        new EvaluateSettings.ZeroShotSettings("odd", root.toString(), "", List.of("a {}"));

    List<ZeroShot.Category> categories = ZeroShot.categories(task, new Configuration(false));

    assertThat(categories)
        .extracting(ZeroShot.Category::name)
        .containsExactly("Caf\u00e9 au lait", "n01440764", "t shirt");
    assertThat(categories).allSatisfy(category -> assertThat(category.files()).hasSize(1));
  }

  private static List<String> names(Path root, String classNames) throws IOException {
    return ZeroShot.categories(
            new EvaluateSettings.ZeroShotSettings(
                "odd", root.toString(), classNames, List.of("a {}")),
            new Configuration(false))
        .stream()
        .map(ZeroShot.Category::name)
        .toList();
  }

  @Test
  void aFileNamesTheClasses(@TempDir Path root) throws IOException {
    for (String name : List.of("n01440764", "n01443537", "n02")) {
      Files.createDirectories(root.resolve(name));
    }
    Files.writeString(root.resolve("n01440764/0.jpg"), "x");
    Files.writeString(root.resolve("n02/0.jpg"), "x");

    Path beside = root.resolve("classnames.txt");
    Files.writeString(beside, "tench\ngoldfish\ngreat white shark\n");
    assertThat(names(root, "")).containsExactly("tench", "great white shark");
    Files.writeString(beside, "\uFEFFtench\r\ngreat white shark\r\n");
    assertThat(names(root, "")).containsExactly("tench", "great white shark");
    Files.writeString(beside, "tench\n");
    assertThatThrownBy(() -> names(root, ""))
        .hasMessageContaining("classnames.txt has 1 lines for 3 class folders");

    Path given = root.resolve("LOC_synset_mapping.txt");
    Files.writeString(given, "n02 shark, great white\nn99 other\nn01440764 tench, Tinca tinca\n");
    assertThat(names(root, given.toString()))
        .containsExactly("tench, Tinca tinca", "shark, great white");
    Files.writeString(given, "n02\tshark\nn01440764\ttench\n");
    assertThat(names(root, given.toString())).containsExactly("tench", "shark");
    assertThatThrownBy(() -> names(root, root.resolve("none.txt").toString()))
        .hasMessageContaining("there is no such file")
        .hasMessageContaining("Set class-names");
  }

  @Test
  void classFoldersThatOnceFailed(@TempDir Path root) throws IOException {
    try (InputStream file = Files.newInputStream(SharedData.shownCase("V01.tar"));
        TarArchiveInputStream tar = new TarArchiveInputStream(file, "UTF-8")) {
      for (TarArchiveEntry entry = tar.getNextEntry(); entry != null; entry = tar.getNextEntry()) {
        Path target = root.resolve(entry.getName());
        if (entry.isDirectory()) {
          Files.createDirectories(target);
        } else {
          Files.copy(tar, target);
        }
      }
    }

    assertThat(names(root, ""))
        .containsExactly("Caf\u00e9 au lait", "golden retriever", "n01440764", "t shirt");
    Files.writeString(
        root.resolve("classnames.txt"),
        "t-shirt\tT-shirt\nn01440764\ttench\nCaf\u00e9_au_lait\tlatte\ngolden_retriever\tdog\n");
    assertThat(names(root, "")).containsExactly("latte", "dog", "tench", "T-shirt");
  }
}
