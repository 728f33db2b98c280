package io.github.kklip.check;

import io.github.kklip.config.EvaluateSettings;
import io.github.kklip.config.ExportSettings;
import io.github.kklip.config.IngestSettings;
import io.github.kklip.config.Settings;
import io.github.kklip.eval.Evaluation;
import io.github.kklip.export.HuggingFaceExport;
import io.github.kklip.store.DatasetManifest;
import java.util.List;
import java.util.Optional;
import org.apache.hadoop.conf.Configuration;

/** Checks the stages that take a trained model: {@code evaluate} and {@code export}. */
final class ModelChecks {
  private final Findings findings;
  private final Settings settings;
  private final Configuration configuration;
  private final List<String> stages;
  private final boolean demo;
  private final DatasetChecks dataset;

  ModelChecks(
      Findings findings,
      Settings settings,
      Configuration configuration,
      List<String> stages,
      boolean demo,
      DatasetChecks dataset) {
    this.findings = findings;
    this.settings = settings;
    this.configuration = configuration;
    this.stages = stages;
    this.demo = demo;
    this.dataset = dataset;
  }

  void evaluate() {
    EvaluateSettings evaluate = settings.evaluate();
    boolean sound = checkModel("evaluate.model", evaluate.model(), Evaluation::checkModel);
    if (demo) {
      boolean unused = findings.isSet("evaluate.report", evaluate.report());
    }
    if (!evaluate.report().isEmpty()) {
      requireWritable("evaluate.report", evaluate.report());
    } else if (sound && !evaluate.model().isEmpty()) {
      requireWritable("evaluate.model", evaluate.model());
    }
    dataset.folder().ifPresent(folder -> validation());
    if (!demo) {
      // The demo makes the classes of its own.
      for (int i = 0; i < evaluate.zeroShot().size(); i++) {
        EvaluateSettings.ZeroShotSettings task = evaluate.zeroShot().get(i);
        findings.holds(
            "evaluate.zero-shot[" + i + "].path",
            task.path(),
            () -> Evaluation.checkZeroShot(task, configuration));
      }
    }
  }

  /** Nothing to evaluate on: the split is empty, and stays so where ingest gives it no images. */
  private void validation() {
    List<IngestSettings.SourceSettings> sources = settings.ingest().sources();
    // That there are no sources is a finding of its own.
    boolean grows =
        stages.contains("ingest") && (sources.isEmpty() || sources.stream().anyMatch(this::gives));
    Optional<DatasetManifest> pairs = dataset.pairs();
    if (!grows && (pairs.isPresent() || stages.contains("ingest"))) {
      findings.holds(
          "dataset",
          settings.dataset(),
          () ->
              Evaluation.requirePairs(
                  dataset.folder().get(),
                  settings.evaluate().split(),
                  split -> pairs.map(there -> there.rows(split)).orElse(0L)));
    }
  }

  /** Whether a source may have pairs of the split that is evaluated. */
  private boolean gives(IngestSettings.SourceSettings source) {
    EvaluateSettings.EvaluateSplit wanted = settings.evaluate().split();
    return switch (source.split()) {
      case AUTO ->
          wanted != EvaluateSettings.EvaluateSplit.TEST
              && settings.ingest().validationFraction() > 0;
      case TRAIN -> false;
      case VALIDATION -> wanted != EvaluateSettings.EvaluateSplit.TEST;
      case TEST -> wanted != EvaluateSettings.EvaluateSplit.VALIDATION;
    };
  }

  void export() {
    ExportSettings export = settings.export();
    boolean sound = checkModel("export.model", export.model(), HuggingFaceExport::checkModel);
    String output = export.path().isEmpty() ? settings.train().output() : export.path();
    String key = export.path().isEmpty() ? "train.output" : "export.path";
    if (output.isEmpty()) {
      if (sound && !stages.contains("train")) {
        findings.isSet("export.path", output);
      }
      return;
    }
    if (findings.holds(key, output, () -> HuggingFaceExport.checkTarget(settings, configuration))) {
      requireWritable(key, output);
    }
  }

  private interface ModelCheck {
    void check(Settings settings, Configuration configuration) throws java.io.IOException;
  }

  /** Whether a model of its own, or that of a run of before, can be used. */
  private boolean checkModel(String key, String model, ModelCheck check) {
    if (model.isEmpty() && stages.contains("train")) {
      return true;
    }
    String output = settings.train().output();
    return findings.holds(
        model.isEmpty() && !output.isEmpty() ? "train.output" : key,
        model.isEmpty() ? output : model,
        () -> check.check(settings, configuration));
  }

  private void requireWritable(String key, String value) {
    findings.holds(key, value, () -> Outputs.requireWritable(key, value, configuration));
  }
}
