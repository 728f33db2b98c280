package io.github.kklip.check;

import io.github.kklip.config.Settings;
import io.github.kklip.config.StudentSettings;
import io.github.kklip.launch.TrainStage;
import io.github.kklip.model.ClipConfig;
import io.github.kklip.safetensors.Safetensors;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Split;
import io.github.kklip.store.publication.Storage;
import io.github.kklip.text.StudentTokenizer;
import io.github.kklip.train.MemoryEstimate;
import io.github.kklip.train.checkpoint.CheckpointStore;
import io.github.kklip.train.checkpoint.TrainState;
import io.github.kklip.train.plan.SampleOrder;
import io.github.kklip.train.plan.TrainPlan;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/** Checks the stage {@code train}: data of the losses, student, tokenizer, and an older run. */
final class TrainChecks {
  private final Findings findings;
  private final Settings settings;
  private final Configuration configuration;
  private final Machine machine;
  private final List<String> stages;
  private final DatasetChecks dataset;

  TrainChecks(
      Findings findings,
      Settings settings,
      Configuration configuration,
      Machine machine,
      List<String> stages,
      DatasetChecks dataset) {
    this.findings = findings;
    this.settings = settings;
    this.configuration = configuration;
    this.machine = machine;
    this.stages = stages;
    this.dataset = dataset;
  }

  void make() {
    int before = findings.messages().size();
    String output = settings.train().output();
    boolean set = findings.isSet("train.output", output);
    if (set) {
      findings.holds(
          "train.output",
          output,
          () -> Outputs.requireWritable("train.output", output, configuration));
    }
    if (dataset.folder().isPresent() && dataset.finalPairs().isPresent()) {
      data(dataset.folder().get(), dataset.finalPairs().get());
    }
    student();
    if (set && dataset.pairs().isPresent()) {
      run(output, findings.messages().size() == before);
    }
  }

  private void data(DatasetFolder folder, DatasetManifest pairs) {
    List<Shard> shards = pairs.shards(Split.TRAIN);
    findings.holds(
        "train.batch",
        Integer.toString(settings.train().schedule().batch()),
        () ->
            SampleOrder.requireRows(settings.train().schedule().batch(), pairs.rows(Split.TRAIN)));
    findings.holds("dataset", settings.dataset(), () -> TrainPlan.requirePairs(folder, shards));
    if (settings.train().loss().emb() > 0 && !stages.contains("embed")) {
      findings.holds(
          "dataset",
          settings.dataset(),
          () -> {
            var unused = TrainPlan.teacher(settings, folder, pairs);
          });
    }
    if (settings.train().loss().concept() > 0 && !stages.contains("cluster")) {
      findings.holds(
          "dataset",
          settings.dataset(),
          () -> {
            var unused = TrainPlan.concepts(settings, folder, pairs);
          });
    }
  }

  private void student() {
    StudentSettings student = settings.student();
    boolean begins = student.init().isEmpty();
    Optional<ClipConfig> shape =
        findings.look(
            begins ? "student.config" : "student.init",
            begins ? student.config() : student.init(),
            () -> TrainPlan.shape(student, configuration));
    if (!begins && shape.isPresent()) {
      findings.holds(
          "student.init",
          student.init(),
          () -> Safetensors.requireFiles(configuration, student.init()));
      findings.holds("student.init", student.init(), () -> openLocal(student.init()));
      findings.holds(
          "student.init",
          student.init(),
          () -> {
            var unused = TrainPlan.preprocessing(student, shape.get(), configuration);
          });
    }
    boolean given = !student.tokenizer().isEmpty();
    if (given || dataset.folder().isPresent()) {
      findings.holds(
          given ? "student.tokenizer" : "dataset",
          given ? student.tokenizer() : settings.dataset(),
          () -> {
            Optional<DatasetManifest> pairs = dataset.pairs();
            if (!given
                && (pairs.isEmpty()
                    || (stages.contains("tokenizer") && pairs.get().tokenizer() == null))) {
              return;
            }
            String folder =
                given
                    ? student.tokenizer()
                    : dataset.folder().get().tokenizer(pairs.get()).toString();
            try (StudentTokenizer tokenizer = StudentTokenizer.load(folder, configuration)) {
              if (shape.isPresent()) {
                var unused = TrainPlan.fitted(student, shape.get(), tokenizer);
              }
            }
          });
    }
  }

  /** Reads the headers of weights that are on this machine, as they will be read. */
  private void openLocal(String folder) throws IOException {
    Path path = Storage.path(folder, configuration);
    if (machine.executorsAreHere() && Storage.isLocal(configuration, path)) {
      Safetensors.requireHeaders(java.nio.file.Path.of(path.toUri().getPath()));
    }
  }

  /**
   * Compares with the run that is in {@code train.output}. Where stages before this one complete
   * the data, a plan may not be possible yet; then the comparison waits for them.
   */
  private void run(String output, boolean sound) {
    Optional<TrainState> older =
        findings.look(
            "train.output",
            output,
            () -> CheckpointStore.newestState(output, configuration).orElse(null));
    boolean alone = stages.size() == 1;
    if (!sound || (older.isEmpty() && !alone)) {
      return;
    }
    Findings.Check<TrainPlan> planning =
        () ->
            TrainPlan.withoutWeights(
                settings, configuration, older.map(TrainState::identity).orElse(new TreeMap<>()));
    Optional<TrainPlan> plan =
        alone
            ? findings.look("train.output", output, planning)
            : findings.lookQuietly(output, planning);
    if (plan.isEmpty()) {
      return;
    }
    older.ifPresent(
        state ->
            findings.holds(
                "train.output",
                output,
                () -> {
                  state.checkIdentity(plan.get().identity(), output);
                  boolean unused = state.goesOn(plan.get(), output);
                }));
    if (machine.spark().contains("spark.master")) {
      findings.holds(
          "spark.executor.memory",
          "",
          () -> TrainStage.checkMemory(machine.spark(), MemoryEstimate.of(plan.get())));
    }
  }
}
