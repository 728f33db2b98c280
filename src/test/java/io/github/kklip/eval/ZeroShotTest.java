package io.github.kklip.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Offset.offset;

import io.github.kklip.config.EvaluateSettings;
import io.github.kklip.eval.EvaluationResult.Classification;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
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
        new EvaluateSettings.ZeroShotSettings("odd", root.toString(), List.of("a {}"));

    List<ZeroShot.Category> categories = ZeroShot.categories(task, new Configuration(false));

    assertThat(categories)
        .extracting(ZeroShot.Category::name)
        .containsExactly("Caf\u00e9 au lait", "n01440764", "t shirt");
    assertThat(categories).allSatisfy(category -> assertThat(category.files()).hasSize(1));
  }
}
