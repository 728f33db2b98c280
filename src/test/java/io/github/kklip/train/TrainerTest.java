package io.github.kklip.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.kklip.comms.Ranks;
import io.github.kklip.comms.SoloCollective;
import io.github.kklip.comms.TransportOptions;
import io.github.kklip.config.SettingsException;
import io.github.kklip.safetensors.Safetensors;
import io.github.kklip.store.TeacherManifest;
import io.github.kklip.store.TestDataset;
import io.github.kklip.store.publication.Json;
import io.github.kklip.tensor.ResidentMemory;
import io.github.kklip.tensor.TestDevice;
import io.github.kklip.tensor.Torch;
import io.github.kklip.train.checkpoint.Checkpoint;
import io.github.kklip.train.checkpoint.CheckpointStore;
import io.github.kklip.train.metrics.MetricsLog;
import io.github.kklip.train.metrics.RunFigures;
import io.github.kklip.train.metrics.StepReport;
import io.github.kklip.train.plan.TrainPlan;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.Future;
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

  /**
   * 11 rows on 1 to 4 ranks, whole and in micro-batches of 2. All parameters count, the biases of
   * the key projections too: their true gradient is zero, and Adam makes steps of what rounding
   * leaves of it, but short ones beside its eps; without them the distance is a fifth of theirs.
   */
  @Test
  void anyNumberOfRanksTrainsTheSameModel() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 90, 41);
    for (int ranks = 1; ranks <= 4; ranks++) {
      for (int micro : new int[] {0, 2}) {
        String[] settings = {
          "train.steps=50", "train.batch=11", "train.micro-batch=" + micro,
        };
        Path run = output(ranks + " " + micro);
        TinyDataset.train(data.plan(run, settings), ranks);
        assertSameRun(output("1 0"), run);
        if (micro == 2 && ranks > 2) {
          Path again = output(ranks + " again");
          TinyDataset.train(data.plan(again, settings), ranks);
          assertSameBytes(run, again);
        }
      }
    }
    TinyDataset.train(
        data.plan(
            output("sharded"), "train.steps=50", "train.batch=11", "train.shard-optimizer=true"),
        4);
    assertSameRun(output("1 0"), output("sharded"));
    List<StepReport> one = metrics(output("1 0"));
    assertThat(one.get(49).loss()).isLessThan(one.get(0).loss());
    assertThat(one.get(49).epoch()).isEqualTo(50 / 11.0);
    assertThat(one.get(4).lr()).isEqualTo(1e-3);
  }

  private static void assertSameRun(Path one, Path other) throws IOException {
    List<StepReport> expected = metrics(one);
    List<StepReport> found = metrics(other);
    assertThat(found).hasSize(50);
    for (int i = 0; i < 50; i++) {
      assertThat(found.get(i).loss())
          .as("%s", other)
          .isEqualTo(expected.get(i).loss(), within(1e-4));
      assertThat(found.get(i).losses().keySet()).containsExactly("concept", "contrastive", "emb");
    }
    assertThat(relativeDistance(weights(one), weights(other))).as("%s", other).isLessThan(1e-5);
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

    // Killed while it wrote its last checkpoint: the one before counts.
    Path killed = output("killed");
    copy(output("straight"), killed);
    Files.delete(newestFolder(killed).resolve(CheckpointStore.MARKER));
    long before = CheckpointStore.newestStep(killed.toString(), TinyDataset.CONFIGURATION);
    TrainResult again = TinyDataset.train(data.plan(killed, settings), 2);
    assertThat(again.firstStep()).isEqualTo(before).isBetween(4L, 11L);
    assertSameBytes(output("straight"), killed);
    assertThat(metrics(killed).stream().map(StepReport::step))
        .containsExactly(1L, 2L, 3L, 4L, 5L, 6L, 7L, 8L, 9L, 10L, 11L, 12L);
    for (int i = 0; i < 12; i++) {
      assertThat(metrics(killed).get(i).losses())
          .isEqualTo(metrics(output("straight")).get(i).losses());
    }
  }

  /** The moments of three ranks come together while the next steps change them. */
  @Test
  void aCheckpointThatCameTogetherInLaterStepsIsThatOfItsOwn() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 55);
    String[] settings = {
      "train.steps=60",
      "train.checkpoint.every-steps=20",
      "train.checkpoint.keep=9",
      "train.shard-optimizer=true"
    };
    TinyDataset.train(data.plan(output("straight"), settings), 3);
    Path killed = output("killed");
    copy(output("straight"), killed);
    Files.delete(newestFolder(killed).resolve(CheckpointStore.MARKER));
    TrainResult again = TinyDataset.train(data.plan(killed, settings), 3);
    assertThat(again.firstStep()).isBetween(40L, 50L);
    assertSameBytes(output("straight"), killed);
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
            "because it was made with other settings: seed was 0 and is now 9. Use the same"
                + " settings, or another train.output.");
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

  /** Figures of the run: one report a step beside one in four steps. */
  @Test
  void theResultTellsOfTheLastIntervalAndOfAllStepsOfTheAttempt() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 40);
    TinyDataset.train(data.plan(output("each"), "train.steps=10", "train.batch=8"), 1);
    RunFigures figures =
        TinyDataset.train(
                data.plan(
                    output("fourth"), "train.steps=10", "train.batch=8", "train.log-every-steps=4"),
                1)
            .figures();
    List<StepReport> steps = metrics(output("each"));
    List<StepReport> reports = metrics(output("fourth"));
    assertThat(reports.stream().map(StepReport::step)).containsExactly(4L, 8L, 10L);
    // The last four steps, though two of them stand in the report before the last.
    assertThat(figures.loss())
        .isCloseTo(
            steps.subList(6, 10).stream().mapToDouble(StepReport::loss).average().orElseThrow(),
            within(1e-9));
    assertThat(figures.losses().keySet()).containsExactly("concept", "contrastive", "emb");
    assertThat(figures.losses().get("emb"))
        .isCloseTo(
            steps.subList(6, 10).stream()
                .mapToDouble(step -> step.losses().get("emb"))
                .average()
                .orElseThrow(),
            within(1e-9));
    // Seconds cancel out: waited over pairs, of all steps.
    double waited = 0;
    for (int i = 0; i < 3; i++) {
      long pairs = 8 * (reports.get(i).step() - (i == 0 ? 0 : reports.get(i - 1).step()));
      waited += reports.get(i).dataWait() * pairs / reports.get(i).samplesPerSecond();
    }
    assertThat(figures.dataWait() / figures.samplesPerSecond())
        .isCloseTo(waited / 80, within(1e-12));
  }

  /** The step that meets the odd row does not count, nor does an attempt without steps. */
  @Test
  void figuresLeaveOutStepsThatWereSkipped() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), 17, 50);
    String[] settings = {"train.steps=10", "train.log-every-steps=10"};
    TrainResult result = TinyDataset.train(data.plan(output("run"), settings), 2);
    assertThat(result.last().skipped()).isEqualTo(2);
    assertThat(result.figures().losses().values()).allMatch(Double::isFinite);
    assertThat(TinyDataset.train(data.plan(output("run"), settings), 2).figures())
        .isEqualTo(RunFigures.of(result.last()));
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

  /** The NaN of one rank, whichever it is: all ranks must take and skip the same steps. */
  @Test
  void aGradientThatIsNotFiniteOnOneRankIsSkippedOnAll() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 60);
    for (int poisoned = 0; poisoned < 3; poisoned++) {
      Path run = output("poisoned " + poisoned);
      int victim = poisoned;
      List<TrainResult> results =
          Ranks.run(
              3,
              real -> {
                PoisonedCollective collective = new PoisonedCollective(real);
                AtomicInteger step = new AtomicInteger();
                return TinyDataset.train(
                    data.plan(run, "train.steps=8"),
                    collective,
                    () -> {
                      int now = step.incrementAndGet();
                      if (real.rank() == victim && (now == 3 || now == 6)) {
                        collective.poison();
                      }
                      return false;
                    });
              });
      assertThat(results).allMatch(result -> result.complete() && result.last().skipped() == 2);
      List<StepReport> steps = metrics(run);
      assertThat(steps).allMatch(step -> Double.isFinite(step.loss()));
      for (StepReport step : steps) {
        assertThat(Double.isFinite(step.gradientNorm()))
            .isEqualTo(step.step() != 3 && step.step() != 6);
      }
      assertSameBytes(output("poisoned 0"), run);
    }
  }

  @Test
  void aRunOfGradientsThatAreNotFiniteEndsOnAllRanksAndSaysWhatItWasNot() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 60);
    List<Future<TrainResult>> outcomes =
        Ranks.outcomes(
            2,
            Ranks.TIMEOUTS,
            rank -> TransportOptions.AUTO,
            real -> {
              PoisonedCollective collective = new PoisonedCollective(real);
              AtomicInteger step = new AtomicInteger();
              return TinyDataset.train(
                  data.plan(output("run"), "train.steps=20", "train.max-skipped-steps=4"),
                  collective,
                  () -> {
                    if (step.incrementAndGet() > 5 && real.rank() == 1) {
                      collective.poison();
                    }
                    return false;
                  });
            });
    for (Future<TrainResult> outcome : outcomes) {
      assertThatThrownBy(outcome::get)
          .hasMessageContaining("4 steps in a row had no finite loss and gradient: in step 8 the")
          .hasMessageContaining(
              "gradient's norm is NaN, though each part of the loss has a finite");
    }
  }

  /** A loss of 2e37 is a finite number; its gradient has no norm in float32. */
  @Test
  void theLossWhoseGradientIsNotFiniteIsNamed() throws Exception {
    TinyDataset data = TinyDataset.odd(temporary.resolve("data"), 3, 1.5e19f, 10);
    TrainPlan plan =
        data.plan(
            output("run"),
            "train.steps=10",
            "train.max-skipped-steps=3",
            "teacher.postprocess=none");
    assertThatThrownBy(() -> TinyDataset.train(plan, 2))
        .rootCause()
        .hasMessageContaining(
            "in step 2 the gradient's norm is Infinity, from the loss emb. Lower");
  }

  @Test
  void dataThatIsNotWholeOrNotTheRunsOwnIsRefused() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 40, 30);
    TrainPlan plan = data.plan(output("run"), "train.steps=3");
    TinyDataset.train(plan, new SoloCollective(), () -> true);
    TinyDataset other = TinyDataset.whole(temporary.resolve("other"), -1, 40, 31);
    assertThatThrownBy(() -> TinyDataset.train(other.plan(output("run"), "train.steps=3"), 1))
        .rootCause()
        .hasMessageStartingWith("Cannot go on from the checkpoint file:" + output("run"))
        .hasMessageContaining(
            "because 3 of 6 files that the run began with are not in the dataset ")
        .hasMessageContaining(temporary.resolve("other") + ", the first is teachers/llama/");

    Path labels = data.labelsOf(1);
    Files.move(labels, output("away"));
    assertThatThrownBy(() -> data.plan(output("run")))
        .isInstanceOf(SettingsException.class)
        .hasMessage(
            "Cannot train because 1 of 2 files of labels that the manifest names are not in the dataset "
                + data.dataset().root()
                + ": concepts/concepts/"
                + labels.getParent().getFileName()
                + "/"
                + labels.getFileName()
                + ". Bring them back, or make the labels anew in an empty"
                + " folder.");
    Files.move(output("away"), labels);
    TeacherManifest whole = data.dataset().requireManifest().teachers().get("llama");
    SortedMap<String, String> one = new TreeMap<>(whole.files());
    one.remove(data.shards().get(1).identity());
    TestDataset.commit(
        data.dataset(),
        "llama",
        new TeacherManifest(
            whole.settings(),
            whole.dimension(),
            whole.storage(),
            one,
            whole.meanRows(),
            whole.mean()));
    assertThatThrownBy(() -> data.plan(output("run")))
        .isInstanceOf(SettingsException.class)
        .hasMessage(
            "Cannot train because the embeddings in "
                + data.dataset().teacher("llama")
                + " lack 1 of 2 training shards. Run `embed` again, which does what is missing.");
  }

  @Test
  void aCheckpointOfAnotherModelIsRefused() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 40);
    TinyDataset.train(data.plan(output("run"), "train.steps=3"), 1);
    assertThatThrownBy(
            () ->
                TinyDataset.train(
                    data.plan(output("run"), "train.steps=3", "student.config=tiny"), 1))
        .rootCause()
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining(
            "student.config (the student's shape) was text 2 x 16, images of 16 in patches of 8, 2"
                + " x 16, projection 8, digest ")
        .hasMessageContaining(" and is now text ")
        .hasMessageContaining("Use the same settings, or another train.output.");
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
        new Rank(new SoloCollective(), TestDevice.get(), 1),
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
        new Rank(new SoloCollective(), TestDevice.get(), 1),
        TinyDataset.CONFIGURATION,
        progress,
        () -> false);
    // A leak of a batch of pixels in each step would be 15 MB, one of the gradient 25 MB.
    assertThat(ResidentMemory.kibibytes() - before.get()).isLessThan(12_000);
  }
}
