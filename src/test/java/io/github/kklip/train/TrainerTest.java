package io.github.kklip.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.kklip.comms.SoloCollective;
import io.github.kklip.config.SettingsException;
import io.github.kklip.store.Json;
import io.github.kklip.store.Safetensors;
import io.github.kklip.tensor.ResidentMemory;
import io.github.kklip.tensor.Torch;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TrainerTest {
  @TempDir Path temporary;

  private Path output(String name) {
    return temporary.resolve(name);
  }

  private static List<StepReport> metrics(Path output) throws IOException {
    return Files.readAllLines(output.resolve(MetricsLog.FILE)).stream()
        .map(line -> Json.parse(line, StepReport.class))
        .toList();
  }

  private static Map<String, float[]> weights(Path output) throws IOException {
    Map<String, float[]> weights = new TreeMap<>();
    try (Checkpoint checkpoint =
            CheckpointStore.newest(output.toString(), TinyDataset.CONFIGURATION);
        NDManager manager = Torch.manager()) {
      for (Path file : List.of(checkpoint.folder(), checkpoint.heads())) {
        Safetensors tensors = Safetensors.open(file);
        Map<String, ai.djl.ndarray.types.Shape> shapes = new TreeMap<>();
        for (String name : tensors.names()) {
          shapes.put(name, new ai.djl.ndarray.types.Shape(tensors.entry(name).shape()));
        }
        for (Map.Entry<String, NDArray> tensor : tensors.arrays(manager, shapes).entrySet()) {
          weights.put(tensor.getKey(), Torch.floats(tensor.getValue()));
        }
      }
    }
    return weights;
  }

  private static double relativeDistance(Map<String, float[]> a, Map<String, float[]> b) {
    assertThat(a.keySet()).isEqualTo(b.keySet());
    double difference = 0;
    double norm = 0;
    for (String name : a.keySet()) {
      float[] x = a.get(name);
      float[] y = b.get(name);
      for (int i = 0; i < x.length; i++) {
        difference += Math.pow(x[i] - y[i], 2);
        norm += Math.pow(x[i], 2);
      }
    }
    return Math.sqrt(difference / norm);
  }

  private static Path newestFolder(Path output) throws IOException {
    try (Stream<Path> folders = Files.list(output.resolve(CheckpointStore.FOLDER))) {
      return folders.sorted().reduce((a, b) -> b).orElseThrow();
    }
  }

  private static void assertSameBytes(Path a, Path b) throws IOException {
    for (String file : List.of(Checkpoint.MODEL, Checkpoint.HEADS, Checkpoint.OPTIMIZER)) {
      assertThat(Files.mismatch(newestFolder(a).resolve(file), newestFolder(b).resolve(file)))
          .as(file)
          .isEqualTo(-1);
    }
  }

  @Test
  void anyNumberOfRanksTrainsTheSameModel() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 90, 41);
    TinyDataset.train(data.plan(output("one"), "train.steps=50"), 1);
    TinyDataset.train(data.plan(output("two"), "train.steps=50"), 2);
    // 10 rows on 3 ranks: 4, 3 and 3; in micro-batches of 2, 2 and then 2, 1.
    TinyDataset.train(data.plan(output("three"), "train.steps=50", "train.micro-batch=2"), 3);
    TinyDataset.train(data.plan(output("four"), "train.steps=50", "train.shard-optimizer=true"), 4);
    List<StepReport> one = metrics(output("one"));
    for (String other : List.of("two", "three", "four")) {
      List<StepReport> ranks = metrics(output(other));
      assertThat(ranks).hasSize(50);
      for (int i = 0; i < 50; i++) {
        assertThat(ranks.get(i).loss()).isEqualTo(one.get(i).loss(), within(1e-4));
        assertThat(ranks.get(i).losses().keySet()).containsExactly("concept", "contrastive", "emb");
      }
      assertThat(relativeDistance(weights(output("one")), weights(output(other)))).isLessThan(1e-4);
    }
    TinyDataset.train(data.plan(output("three again"), "train.steps=50", "train.micro-batch=2"), 3);
    assertSameBytes(output("three"), output("three again"));
    assertThat(one.get(49).loss()).isLessThan(one.get(0).loss());
    assertThat(one.get(49).epoch()).isEqualTo(50 / 13.0);
    assertThat(one.get(4).lr()).isEqualTo(1e-3);
  }

  /** Rows of the shards on the left, ranks and batch on the right. */
  @ParameterizedTest
  @CsvSource(
      delimiter = ':',
      value = {"37 : 4, 9", "3 5 61 : 4, 9", "40 1 : 3, 41", "70 70 70 : 2, 1000"})
  void anyShardsServeAnyRanksOrAreRefused(String rows, String ranksAndBatch) throws Exception {
    int[] shards = Stream.of(rows.split(" ", -1)).mapToInt(Integer::parseInt).toArray();
    String[] words = ranksAndBatch.split(", ", -1);
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, shards);
    int all = java.util.Arrays.stream(shards).sum();
    int batch = Integer.parseInt(words[1]);
    if (batch > all) {
      assertThatThrownBy(() -> data.plan(output("run"), "train.batch=" + batch))
          .hasMessage(
              "Cannot train with batches of 1000 because the training split has only 210 pairs."
                  + " Set train.batch to at most that, or ingest more.");
      return;
    }
    TrainResult result =
        TinyDataset.train(
            data.plan(output("run"), "train.batch=" + batch, "train.epochs=2"),
            Integer.parseInt(words[0]));
    assertThat(result.complete()).isTrue();
    assertThat(result.last().step()).isEqualTo(2L * (all / batch));
  }

  /** What two ranks with all moments began, three with a third each go on with, and one ends. */
  @Test
  void anotherNumberOfRanksGoesOn() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 55);
    String[] settings = {"train.steps=12", "train.checkpoint.every-steps=4"};
    TinyDataset.train(data.plan(output("straight"), settings), 1);
    AtomicInteger asked = new AtomicInteger();
    TinyDataset.train(data.plan(output("run"), settings), 2, () -> asked.incrementAndGet() > 6);
    asked.set(0);
    TrainResult second =
        TinyDataset.train(
            data.plan(
                output("run"),
                "train.steps=12",
                "train.checkpoint.every-steps=4",
                "train.shard-optimizer=true"),
            3,
            () -> asked.incrementAndGet() > 9);
    assertThat(second.complete()).isFalse();
    TrainResult third = TinyDataset.train(data.plan(output("run"), settings), 1);
    assertThat(third.complete()).isTrue();
    assertThat(third.firstStep()).isEqualTo(second.last().step()).isBetween(5L, 11L);
    assertThat(relativeDistance(weights(output("straight")), weights(output("run"))))
        .isLessThan(1e-4);
  }

  @Test
  void theFirstContrastiveLossIsAboutLnOfTheBatch() throws Exception {
    TinyDataset data = TinyDataset.pairs(temporary.resolve("data"), 130);
    TrainPlan plan =
        data.plan(
            output("clip"),
            "train.batch=64",
            "train.steps=2",
            "train.loss.emb=0",
            "train.loss.concept=0");
    // Plain CLIP: the dataset has neither embeddings nor labels.
    TrainResult result = TinyDataset.train(plan, 1);
    StepReport first = metrics(output("clip")).get(0);
    assertThat(first.losses().keySet()).containsExactly("contrastive");
    // Random directions of eight dimensions are further from orthogonal than those of a real model.
    assertThat(first.losses().get("contrastive")).isEqualTo(Math.log(64), within(1.5));
    assertThat(first.logitScale()).isEqualTo(Math.log(1 / 0.07), within(0.01));
    assertThat(result.complete()).isTrue();
    assertThat(weights(output("clip"))).doesNotContainKey("embedding_head.weight");

    assertThatThrownBy(() -> data.plan(output("clip")))
        .isInstanceOf(SettingsException.class)
        .hasMessage(
            "Cannot train with the loss emb because the dataset "
                + data.dataset().root()
                + " has no embeddings called llama. Run `embed`, or set train.loss.emb = 0.");
  }

  @Test
  void aRunThatWasInterruptedEndsWithTheSameBytes() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 55);
    String[] settings = {
      "train.steps=12", "train.checkpoint.every-steps=4", "train.checkpoint.keep=9"
    };
    TinyDataset.train(data.plan(output("straight"), settings), 2);

    // Told to stop in its sixth step.
    AtomicInteger asked = new AtomicInteger();
    TrainResult stopped =
        TinyDataset.train(
            data.plan(output("stopped"), settings), 2, () -> asked.incrementAndGet() > 10);
    assertThat(stopped.complete()).isFalse();
    assertThat(stopped.last().step()).isBetween(5L, 7L);
    TrainResult resumed = TinyDataset.train(data.plan(output("stopped"), settings), 2);
    assertThat(resumed.complete()).isTrue();
    assertThat(resumed.firstStep()).isEqualTo(stopped.last().step());
    assertSameBytes(output("straight"), output("stopped"));

    // Killed while it wrote its third checkpoint: the second one counts.
    Path killed = output("killed");
    copy(output("straight"), killed);
    Files.delete(newestFolder(killed).resolve(CheckpointStore.MARKER));
    TrainResult again = TinyDataset.train(data.plan(killed, settings), 2);
    assertThat(again.firstStep()).isEqualTo(8);
    assertSameBytes(output("straight"), killed);
    assertThat(metrics(killed).stream().map(StepReport::step))
        .containsExactly(1L, 2L, 3L, 4L, 5L, 6L, 7L, 8L, 9L, 10L, 11L, 12L);
    for (int i = 0; i < 12; i++) {
      assertThat(metrics(killed).get(i).losses())
          .isEqualTo(metrics(output("straight")).get(i).losses());
    }
  }

  private static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path file : files.toList()) {
        Files.copy(file, to.resolve(from.relativize(file).toString()));
      }
    }
  }

  @Test
  void aFinishedRunReturnsAtOnceAndOtherSettingsAreRefused() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 40);
    TrainResult first = TinyDataset.train(data.plan(output("run"), "train.steps=3"), 1);
    TrainResult second =
        TinyDataset.train(
            data.plan(output("run"), "train.steps=3"),
            new SoloCollective(),
            () -> {
              throw new AssertionError("No step may be done.");
            });
    assertThat(second.last()).isEqualTo(first.last());
    assertThat(second.complete()).isTrue();
    assertThat(second.checkpoint()).isEqualTo(first.checkpoint());

    assertThatThrownBy(
            () -> TinyDataset.train(data.plan(output("run"), "train.steps=4", "seed=9"), 1))
        .rootCause()
        .hasMessageContaining(
            "because it was made with other settings: seed was 0 and is 9; train.steps was 3 and is"
                + " 4. Use the same settings, or another train.output.");
  }

  @Test
  void aStepThatIsNotFiniteIsSkippedOnAllRanks() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), 17, 50);
    TinyDataset.train(data.plan(output("run"), "train.steps=10"), 2);
    List<StepReport> steps = metrics(output("run"));
    // Each epoch of five steps meets the row once.
    assertThat(steps.get(9).skipped()).isEqualTo(2);
    assertThat(steps.stream().filter(s -> Double.isNaN(s.losses().get("emb")))).hasSize(2);
    weights(output("run"))
        .forEach(
            (name, values) -> {
              for (float value : values) {
                assertThat(value).as(name).isFinite();
              }
            });
  }

  @Test
  void aRunWithoutFiniteStepsEndsAndNamesTheLoss() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), 3, 10);
    TrainPlan plan = data.plan(output("run"), "train.steps=10", "train.max-skipped-steps=3");
    assertThatThrownBy(() -> TinyDataset.train(plan, 2))
        .rootCause()
        .hasMessage(
            "Cannot go on training because 3 steps in a row had no finite loss and gradient: in step"
                + " 2 the loss emb is NaN. Lower train.lr, lengthen train.warmup-steps, or use"
                + " train.precision = float32.");
  }

  @Test
  void rankZeroTellsHowItGoes() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 30);
    List<String> told = new ArrayList<>();
    TrainProgress progress =
        new TrainProgress() {
          @Override
          public void started(long firstStep, long steps, double expectedContrastiveLoss) {
            told.add("started " + firstStep + " " + steps);
            assertThat(expectedContrastiveLoss).isEqualTo(Math.log(10));
          }

          @Override
          public void step(StepReport report) {
            told.add("step " + report.step());
          }

          @Override
          public void checkpoint(long step, String location) {
            told.add("checkpoint " + step);
            assertThat(location).contains(String.format("step-%09d", step));
          }
        };
    Trainer.run(
        data.plan(
            output("run"),
            "train.epochs=2",
            "train.log-every-steps=4",
            "train.checkpoint.every-steps=3"),
        new Rank(new SoloCollective(), Device.cpu(), 1),
        TinyDataset.CONFIGURATION,
        progress,
        () -> false);
    assertThat(told)
        .startsWith("started 0 6", "step 3")
        .containsSubsequence("step 3", "step 4", "step 6", "checkpoint 6")
        .containsSubsequence("checkpoint 3", "checkpoint 6")
        .hasSize(6);
  }

  @Test
  void nativeMemoryStaysFlat() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 60);
    String[] settings = {"train.steps=700", "train.log-every-steps=100"};
    AtomicLong before = new AtomicLong();
    TrainProgress progress =
        new TrainProgress() {
          @Override
          public void started(long firstStep, long steps, double expectedContrastiveLoss) {}

          @Override
          public void step(StepReport report) {
            if (report.step() == 200) {
              before.set(ResidentMemory.kibibytes());
            }
          }

          @Override
          public void checkpoint(long step, String location) {}
        };
    Trainer.run(
        data.plan(output("long"), settings),
        new Rank(new SoloCollective(), Device.cpu(), 1),
        TinyDataset.CONFIGURATION,
        progress,
        () -> false);
    // A leak of a batch of pixels in each step would be 15 MB, one of the gradient 25 MB.
    assertThat(ResidentMemory.kibibytes() - before.get()).isLessThan(12_000);
  }
}
