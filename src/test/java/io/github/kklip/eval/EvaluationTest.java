package io.github.kklip.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Offset.offset;

import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.Identity;
import io.github.kklip.store.Pair;
import io.github.kklip.store.ProcessingSettings;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Split;
import io.github.kklip.store.TestDataset;
import io.github.kklip.store.publication.Json;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import javax.imageio.ImageIO;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A model with random weights on coloured squares: every part runs, nothing is learned. */
class EvaluationTest {
  private static final Path MODEL = Path.of("src/test/resources/golden/export/clip");
  private static final int IMAGES = 30;

  private final Configuration configuration = new Configuration();
  @TempDir Path root;

  @BeforeEach
  void makeDataset() throws IOException {
    DatasetFolder folder = new DatasetFolder(root.toString(), configuration);
    List<Pair> pairs = new ArrayList<>();
    for (int image = 0; image < IMAGES; image++) {
      byte[] png = square(0x080808 * image);
      String id = Identity.ofImage(png);
      for (String caption : List.of("grey <" + image + ">", "a square of level " + image)) {
        pairs.add(new Pair(Identity.ofPair(id, caption), id, caption, png, 40, 30, "test"));
      }
    }
    Shard shard = TestDataset.pairs(folder, Split.VALIDATION, 0, pairs, 16);
    TestDataset.commit(
        folder,
        new ProcessingSettings(new TreeMap<>()),
        List.of(TestDataset.generation(List.of(shard))));
  }

  private static byte[] square(int rgb) throws IOException {
    BufferedImage image = new BufferedImage(40, 30, BufferedImage.TYPE_INT_RGB);
    for (int x = 0; x < 40; x++) {
      for (int y = 0; y < 30; y++) {
        image.setRGB(x, y, rgb);
      }
    }
    ByteArrayOutputStream png = new ByteArrayOutputStream();
    ImageIO.write(image, "png", png);
    return png.toByteArray();
  }

  private Settings settings(String... more) {
    List<String> assignments =
        new ArrayList<>(
            List.of(
                "dataset=" + root,
                "threads=1",
                "evaluate.batch=8",
                "evaluate.examples=3",
                "evaluate.model=" + MODEL.toAbsolutePath(),
                "evaluate.report=" + root.resolve("report")));
    assignments.addAll(List.of(more));
    return Settings.load(List.of(), assignments);
  }

  @Test
  void evaluatesAHuggingFaceFolder() throws IOException {
    EvaluationResult result = Evaluation.run(settings(), configuration);
    assertThat(result.images()).isEqualTo(IMAGES);
    assertThat(result.captions()).isEqualTo(2 * IMAGES);
    assertThat(result.textToImage().chance().r10()).isCloseTo(10.0 / IMAGES, offset(1e-12));
    assertThat(result.imageToText().chance().r1()).isCloseTo(2.0 / (2 * IMAGES), offset(1e-12));
    assertThat(result.textToImage().queries()).isEqualTo(2 * IMAGES);
    assertThat(result.imageToText().queries()).isEqualTo(IMAGES);
    assertThat(result.textToImage().recall().r10())
        .isBetween(result.textToImage().recall().r1(), 1.0);
    assertThat(result.summary())
        .isEqualTo(
            new EvaluationSummary(
                result.model(),
                Split.VALIDATION,
                IMAGES,
                2 * IMAGES,
                new EvaluationSummary.RetrievalSummary(
                    result.imageToText().recall(), result.textToImage().recall()),
                new TreeMap<>(),
                result.report()));
    String json = Files.readString(root.resolve("report/report.json"));
    assertThat(Json.parse(json, EvaluationResult.class)).isEqualTo(result);
    assertThat(Files.readString(root.resolve("report/report.html")))
        .contains("30 images with 60 captions", "grey &lt;0&gt;", "data:image/jpeg;base64,")
        .doesNotContain("grey <0>", "null", "src=\"\"", "http://localhost");
  }

  @Test
  void theSameModelGivesTheSameFiguresInAnotherBatchSize() throws IOException {
    EvaluationResult eight = Evaluation.run(settings(), configuration);
    EvaluationResult seven = Evaluation.run(settings("evaluate.batch=7"), configuration);
    assertThat(seven).isEqualTo(eight);
  }

  @Test
  void takesTheFirstImagesAndSaysSo() throws IOException {
    EvaluationResult result = Evaluation.run(settings("evaluate.max-images=12"), configuration);
    assertThat(result.images()).isEqualTo(12);
    assertThat(result.captions()).isEqualTo(24);
    assertThat(result.skipped()).isEqualTo(18);
    assertThat(Files.readString(root.resolve("report/report.html")))
        .contains("18 further images are over evaluate.max-images");
  }

  private void addTest(int images) throws IOException {
    DatasetFolder folder = new DatasetFolder(root.toString(), configuration);
    List<Pair> pairs = new ArrayList<>();
    for (int image = 0; image < images; image++) {
      byte[] png = square(0x010203 * image);
      String id = Identity.ofImage(png);
      String caption = Identity.ofPair(id, "published");
      pairs.add(new Pair(caption, id, "published", png, 40, 30, "test"));
      // The published split has the row twice.
      pairs.add(new Pair(Identity.ofCopy(caption, 1), id, "published", png, 40, 30, "test"));
    }
    Shard shard = TestDataset.pairs(folder, Split.TEST, 0, pairs, 16);
    DatasetManifest before = folder.requireManifest();
    List<DatasetManifest.Generation> generations = new ArrayList<>(before.generations());
    generations.add(TestDataset.generation(List.of(shard)));
    TestDataset.commit(folder, before.settings(), generations);
  }

  @Test
  void theTestSplitIsEvaluatedWholeWhereThereIsOne() throws IOException {
    EvaluationResult validation = Evaluation.run(settings(), configuration);
    assertThat(validation.split()).isEqualTo(Split.VALIDATION);
    addTest(11);
    EvaluationResult test = Evaluation.run(settings("evaluate.max-images=5"), configuration);
    assertThat(test.split()).isEqualTo(Split.TEST);
    assertThat(test.summary().split()).isEqualTo(Split.TEST);
    assertThat(test.images()).isEqualTo(11);
    assertThat(test.captions()).isEqualTo(22);
    assertThat(test.skipped()).isZero();
    assertThat(Files.readString(root.resolve("report/report.html")))
        .contains("on the test split of", "11 images with 22 captions");
    assertThat(Evaluation.run(settings("evaluate.split=validation"), configuration))
        .isEqualTo(validation);
  }

  @Test
  void aDatasetWithoutTheSplitThatIsAskedForIsRefused() {
    assertThatThrownBy(() -> Evaluation.run(settings("evaluate.split=test"), configuration))
        .isInstanceOf(SettingsException.class)
        .hasMessageEndingWith(
            "because its test split is empty. Ingest a source with split = test, or set evaluate.split = validation.");
  }

  @Test
  void classifiesFoldersAndCountsWhatIsNoImage() throws IOException {
    Path classes = root.resolve("classes");
    for (String name : List.of("black_square", "white-square", "grey")) {
      Files.createDirectories(classes.resolve(name));
      Files.write(classes.resolve(name).resolve("0.png"), square(name.hashCode() & 0xffffff));
    }
    Files.writeString(classes.resolve("grey/broken.png"), "no image");
    EvaluationResult result =
        Evaluation.run(
            settings(
                "evaluate.zero-shot=[{name = squares, path = \""
                    + classes
                    + "\", templates = [\"a {}.\", \"the {}\"]}]"),
            configuration);
    EvaluationResult.Classification squares = result.zeroShot().get("squares");
    assertThat(squares.images()).isEqualTo(3);
    assertThat(squares.classes()).isEqualTo(3);
    assertThat(squares.rejected()).isEqualTo(1);
    assertThat(squares.chanceTop1()).isEqualTo(1 / 3.0);
    assertThat(squares.top5()).isEqualTo(1);
    assertThat(squares.top1()).isIn(0.0, 1 / 3.0, 2 / 3.0, 1.0);
  }

  @Test
  void refusesWhatItCannotEvaluate() throws IOException {
    assertThatThrownBy(
            () -> Evaluation.run(settings("evaluate.model=" + root + "/none"), configuration))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("because there is no such folder. Set evaluate.model");
    assertThatThrownBy(() -> Evaluation.run(settings("evaluate.model=" + root), configuration))
        .hasMessageContaining("Cannot find a whole checkpoint in");
    Path one = Files.createDirectories(root.resolve("one/class")).getParent();
    assertThatThrownBy(
            () ->
                Evaluation.run(
                    settings("evaluate.zero-shot=[{name = one, path = \"" + one + "\"}]"),
                    configuration))
        .hasMessageContaining("has 1 folders. It needs one folder of images for each class");
  }
}
