package io.github.kklip.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.kklip.comms.SoloCollective;
import io.github.kklip.config.ChangedSetting;
import io.github.kklip.config.SettingsException;
import io.github.kklip.image.ImageDecoder;
import io.github.kklip.image.Preprocess;
import io.github.kklip.image.Preprocessing;
import io.github.kklip.image.PreprocessorConfig;
import io.github.kklip.safetensors.Safetensors;
import io.github.kklip.store.Identity;
import io.github.kklip.store.TestDataset;
import io.github.kklip.train.checkpoint.Checkpoint;
import io.github.kklip.train.checkpoint.CheckpointStore;
import io.github.kklip.train.checkpoint.CheckpointStoreTest;
import io.github.kklip.train.data.TrainImages;
import io.github.kklip.train.plan.TrainPlan;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.URI;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.logging.log4j.Level;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.core.LogEvent;
import org.apache.logging.log4j.core.Logger;
import org.apache.logging.log4j.core.appender.AbstractAppender;
import org.apache.logging.log4j.core.config.Configurator;
import org.apache.logging.log4j.core.config.Property;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a run goes on with, and what it refuses, by every setting and every file it is made of. */
class ResumeTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path temporary;
  private TinyDataset data;

  @BeforeEach
  void open() throws IOException {
    data = TinyDataset.whole(temporary.resolve("data"), -1, 130);
  }

  private TrainPlan plan(String... assignments) throws IOException {
    List<String> all = new ArrayList<>(List.of("train.steps=1000"));
    all.addAll(Arrays.asList(assignments));
    return data.plan(temporary.resolve("run"), all.toArray(new String[0]));
  }

  /** One step, then a checkpoint. */
  private static TrainResult step(TrainPlan plan) throws IOException {
    return TinyDataset.train(plan, new SoloCollective(), () -> true);
  }

  private void assertRefused(TrainPlan plan, String difference) {
    assertThatThrownBy(() -> step(plan))
        .isInstanceOf(SettingsException.class)
        .hasMessageMatching(
            "(?s)Cannot go on from the checkpoint .* because it was made with other settings: "
                + difference
                + "\\. Use the same settings, or another train\\.output\\..*");
  }

  @Test
  void everyIdentityKeyIsRefusedByName() throws IOException {
    step(plan());
    List<ChangedSetting> changes = ChangedSetting.ofRun("IDENTITY");
    assertThat(changes).hasSizeGreaterThan(12);
    for (ChangedSetting change : changes) {
      assertRefused(plan(change.assignment()), change.path() + " was [^;]+ and is now [^;]+");
    }
  }

  @Test
  void everyRoundingKeyIsAnnounced() throws IOException {
    step(plan());
    List<ChangedSetting> changes = ChangedSetting.ofRun("ROUNDING");
    assertThat(changes).extracting(ChangedSetting::path).contains("train.compress-gradients");
    for (ChangedSetting change : changes) {
      try (Lines lines = new Lines()) {
        step(plan(change.assignment()));
        assertThat(lines.announced())
            .as(change.path())
            .singleElement()
            .asString()
            .contains(change.path() + " was ", " and is now " + change.typed());
      }
      // Back, so that the next change is one alone.
      step(plan());
    }
    try (Lines lines = new Lines()) {
      step(plan());
      assertThat(lines.announced()).isEmpty();
    }
  }

  /** These count as they are in use, whatever was typed. */
  @Test
  void whatIsInUseIsAnnounced() throws Exception {
    assertThat(ChangedSetting.ofRunByContent("ROUNDING"))
        .extracting(ChangedSetting::path)
        .containsExactlyInAnyOrder("threads", "train.ranks", "train.transport");
    step(plan("train.steps=3"));
    try (Lines lines = new Lines()) {
      TinyDataset.train(plan("train.steps=3"), 2);
      assertThat(lines.announced())
          .singleElement()
          .asString()
          .contains("train.ranks (in use) was 1 and is now 2", "train.transport (in use) was ");
    }
  }

  @Test
  void everyContentIsRefusedByName() throws IOException {
    Path weights = temporary.resolve("weights");
    copyStudent(step(data.plan(temporary.resolve("one"), "train.steps=1")), weights);
    String[] settings = {"student.init=" + weights};
    step(plan(settings));
    List<String> changed = new ArrayList<>();

    Path tokenizer = file("tokenizer/tokenizer.json");
    changed.add(
        changing(
            tokenizer,
            () -> {
              // Of the same size: two words change their ids.
              ObjectNode json = (ObjectNode) JSON.readTree(tokenizer.toFile());
              ObjectNode words = (ObjectNode) json.get("model").get("vocab");
              List<String> names = new ArrayList<>();
              words.fieldNames().forEachRemaining(names::add);
              int a = words.get(names.get(520)).asInt();
              words.set(names.get(520), words.get(names.get(521)));
              words.put(names.get(521), a);
              Files.write(tokenizer, JSON.writeValueAsBytes(json));
            },
            "student.tokenizer \\(tokenizer.json\\)",
            settings));
    Path concepts = data.manifest();
    changed.add(
        changing(
            concepts,
            () -> TestDataset.replace(concepts, "\"centroids\": \"\"", "\"centroids\": \"cd\""),
            "concepts.name \\(its labels and centroids\\)",
            settings));
    Path teacher = data.manifest();
    changed.add(
        changing(
            teacher,
            () -> TestDataset.replace(teacher, "0.1", "0.2"),
            "teacher.name \\(its embeddings and their mean\\)",
            settings));
    Path pairs = data.manifest();
    changed.add(
        changing(
            pairs,
            () -> TestDataset.replace(pairs, "for tests", "otherwise"),
            "dataset \\(its settings\\)",
            settings));
    Path other = temporary.resolve("other");
    copyStudent(step(data.plan(temporary.resolve("two"), "train.steps=1", "seed=5")), other);
    Path model = weights.resolve("model.safetensors");
    changed.add(
        changing(
            model,
            () -> Files.write(model, Files.readAllBytes(other.resolve("model.safetensors"))),
            "student.init \\(weights and config.json\\)",
            settings));
    changed.add("student.config");
    String[] small = {"student.config=" + other.resolve("config.json")};
    ObjectNode shape = (ObjectNode) JSON.readTree(other.resolve("config.json").toFile());
    Files.write(
        other.resolve("config.json"), JSON.writeValueAsBytes(shape.put("projection_dim", 10)));
    assertRefused(
        plan(small),
        "student.config \\(the student's shape\\) was [^;]+ and is now [^;]+; student.init \\(weights"
            + " and config.json\\) was [^;]+ and is now none");
    assertThat(ChangedSetting.ofRunByContent("IDENTITY"))
        .extracting(ChangedSetting::path)
        .containsExactlyInAnyOrderElementsOf(changed);
    step(plan(settings));
  }

  /** The weights come from another file system, and their preprocessing goes with them. */
  @Test
  void aStudentFromElsewhereKeepsItsPreprocessing() throws Exception {
    Path weights = temporary.resolve("weights");
    copyStudent(step(data.plan(temporary.resolve("one"), "train.steps=1")), weights);
    Configuration configuration = new Configuration(TinyDataset.CONFIGURATION);
    configuration.setClass(
        "fs.elsewhere.impl", CheckpointStoreTest.Elsewhere.class, RawLocalFileSystem.class);
    TrainPlan here = plan("student.init=" + weights);
    TrainPlan elsewhere =
        TrainPlan.of(
            data.settings(
                temporary.resolve("run"),
                "train.steps=1000",
                "student.init=elsewhere://b" + weights),
            configuration);
    assertThat(elsewhere.identity()).isEqualTo(here.identity());
    assertThat(elsewhere.preprocessing()).isEqualTo(Preprocessing.clip(16));

    Files.writeString(
        weights.resolve(Preprocessing.FILE),
        "{\"size\": 20, \"crop_size\": 16, \"image_mean\": [0.5, 0.5, 0.5]}");
    TrainPlan changed = plan("student.init=" + weights);
    assertThat(changed.identity()).isNotEqualTo(here.identity());
    TrainResult result = step(changed);
    Preprocessing trained =
        PreprocessorConfig.read(Path.of(URI.create(result.checkpoint()).getPath()), 16);
    assertThat(trained).isEqualTo(changed.preprocessing());
    assertThat(trained.mean()).containsExactly(0.5, 0.5, 0.5);
    assertThat(trained.edge()).isEqualTo(20);

    byte[] png = Files.readAllBytes(Path.of("src/test/resources/golden/export/wide.png"));
    FloatBuffer expected = FloatBuffer.allocate(3 * 16 * 16);
    new Preprocess(trained).apply(ImageDecoder.decode(png), expected, 0);
    FloatBuffer seen = FloatBuffer.allocate(3 * 16 * 16);
    new TrainImages(plan("student.init=" + weights, "train.augment-min-scale=1"))
        .read(png, 0, seen);
    assertThat(seen.array()).isEqualTo(expected.array());
    Files.writeString(
        weights.resolve(Preprocessing.FILE), "{\"size\": 16, \"crop_size\": 16, \"resample\": 0}");
    assertThatThrownBy(() -> plan("student.init=" + weights))
        .hasMessageContaining("has resample = 0");
  }

  @Test
  void aPlanCanBeMadeWithoutReadingTheWeights() throws IOException {
    Path weights = temporary.resolve("weights");
    copyStudent(step(data.plan(temporary.resolve("one"), "train.steps=1")), weights);
    TrainPlan plan = plan("student.init=" + weights);
    Files.writeString(weights.resolve("model.safetensors"), "no weights");
    Configuration configuration = new Configuration();

    assertThat(TrainPlan.withoutWeights(plan.settings(), configuration, plan.identity()).identity())
        .isEqualTo(plan.identity());
    assertThat(TrainPlan.withoutWeights(plan.settings(), configuration, Map.of()).identity())
        .containsEntry("student.init (weights and config.json)", "given");
    assertThat(
            TrainPlan.withoutWeights(plan().settings(), configuration, plan.identity()).identity())
        .isEqualTo(plan().identity());
  }

  private interface Change {
    void make() throws IOException;
  }

  /** Refused with the file changed, and gone on with when it is back. */
  private String changing(Path file, Change change, String key, String... settings)
      throws IOException {
    byte[] before = Files.readAllBytes(file);
    change.make();
    assertThat(Files.readAllBytes(file)).isNotEqualTo(before);
    assertRefused(plan(settings), key + " was [^;]+ and is now [^;]+");
    Files.write(file, before);
    step(plan(settings));
    return key.split(" ", 2)[0];
  }

  private Path file(String name) {
    return temporary.resolve("data").resolve(name);
  }

  private static void replace(Path file, String a, String b) throws IOException {
    Files.writeString(file, Files.readString(file).replace(a, b));
  }

  private static void copyStudent(TrainResult result, Path to) throws IOException {
    Path from = Path.of(java.net.URI.create(result.checkpoint()));
    Files.createDirectories(to);
    for (String name : List.of("config.json", "model.safetensors")) {
      Files.copy(from.resolve(name), to.resolve(name));
    }
  }

  @Test
  void aFinishedRunIsExtendedAndAnUnfinishedOneIsNot() throws IOException {
    SoloCollective alone = new SoloCollective();
    String[] three = {"train.steps=3"};
    step(plan(three));
    for (String longer : List.of("train.steps=5", "train.epochs=2")) {
      assertThatThrownBy(() -> step(plan("train.steps=3", longer)))
          .hasMessageContaining(
              longer.replace("=5", " was 3 and is now 5").replace("=2", " was 1 and is now 2"))
          .hasMessageEndingWith(
              "or another train.output. A run can be extended by train.epochs or train.steps when"
                  + " it has ended: let it end as it began first.");
    }
    TinyDataset.train(plan(three), alone, () -> false);
    assertThatThrownBy(() -> step(plan("train.steps=2")))
        .isInstanceOf(SettingsException.class)
        .hasMessageStartingWith("Cannot end the run at step 2 by train.steps or train.epochs")
        .hasMessageEndingWith(
            "has done 3 steps. Set as many or more, or use another train.output.");
    assertRefused(plan("train.steps=5", "seed=9"), "seed was 0 and is now 9");
    TrainResult extended;
    try (Lines lines = new Lines()) {
      extended = TinyDataset.train(plan("train.steps=5"), alone, () -> false);
      assertThat(lines.lines).contains("The run had ended at step 3 and is extended to step 5");
    }
    assertThat(extended.firstStep()).isEqualTo(3);
    assertThat(extended.last().step()).isEqualTo(5);
    assertThat(extended.complete()).isTrue();
    // By epochs: 13 steps each.
    TrainResult epochs =
        TinyDataset.train(plan("train.steps=0", "train.epochs=1"), alone, () -> false);
    assertThat(epochs.last().step()).isEqualTo(13);
  }

  @Test
  void aCheckpointOfAnEarlierFormatIsRefused() throws IOException {
    TrainResult result = step(plan());
    Path state = Path.of(java.net.URI.create(result.checkpoint())).resolve("state.json");
    Path marker = state.resolveSibling("checkpoint.json");
    byte[] before = Files.readAllBytes(state);
    replace(state, "\"format\": 3", "\"format\": 1");
    replace(marker, sha256(before), sha256(Files.readAllBytes(state)));
    assertThatThrownBy(() -> step(plan()))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining(
            "because it has format 1 and this version goes on from the formats 2 and 3,")
        .hasMessageEndingWith("Use another train.output.");
  }

  private static String sha256(byte[] bytes) throws IOException {
    return Identity.ofBytes(new ByteArrayInputStream(bytes));
  }

  @Test
  void theHeadsSayWhatTheyReferTo() throws IOException {
    TestDataset.replace(data.manifest(), "\"centroids\": \"\"", "\"centroids\": \"cd\"");
    step(plan());
    String mean = data.dataset().requireManifest().teachers().get("llama").meanDigest();
    assertThat(mean).hasSize(64);
    try (Checkpoint checkpoint =
        CheckpointStore.newest(temporary.resolve("run").toString(), TinyDataset.CONFIGURATION)) {
      assertThat(Safetensors.open(checkpoint.heads()).metadata())
          .containsEntry("teacher_mean_sha256", mean)
          .containsEntry("concept_centroids_sha256", "cd");
      assertThat(checkpoint.state().identity().values())
          .anyMatch(value -> value.endsWith("mean " + mean))
          .anyMatch(value -> value.endsWith("centroids cd"))
          .contains(sha256(Files.readAllBytes(file("tokenizer/tokenizer.json"))));
    }
    step(data.plan(temporary.resolve("clip"), "train.loss.emb=0", "train.loss.concept=0"));
    try (Checkpoint checkpoint =
        CheckpointStore.newest(temporary.resolve("clip").toString(), TinyDataset.CONFIGURATION)) {
      assertThat(Safetensors.open(checkpoint.heads()).metadata()).containsOnlyKeys("format");
    }
  }

  /** What the trainer logs. */
  private static final class Lines extends AbstractAppender implements AutoCloseable {
    private final List<String> lines = new CopyOnWriteArrayList<>();
    private final Level before = logger().getLevel();

    Lines() {
      super("lines", null, null, false, Property.EMPTY_ARRAY);
      Configurator.setLevel(Trainer.class.getName(), Level.INFO);
      start();
      logger().addAppender(this);
    }

    private static Logger logger() {
      return (Logger) LogManager.getLogger(Trainer.class);
    }

    List<String> announced() {
      return lines.stream().filter(line -> line.startsWith("Not bitwise")).toList();
    }

    @Override
    public void append(LogEvent event) {
      lines.add(event.getMessage().getFormattedMessage());
    }

    @Override
    public void close() {
      logger().removeAppender(this);
      Configurator.setLevel(Trainer.class.getName(), before);
      stop();
    }
  }
}
