package io.github.kklip.check;

import io.github.kklip.concept.ConceptStage;
import io.github.kklip.config.IngestSettings;
import io.github.kklip.config.Settings;
import io.github.kklip.config.TeacherSettings;
import io.github.kklip.embed.EmbedStage;
import io.github.kklip.ingest.IngestStage;
import io.github.kklip.ingest.sources.SourceFiles;
import io.github.kklip.store.ConceptManifest;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.Postprocessing;
import io.github.kklip.store.Split;
import io.github.kklip.store.TeacherManifest;
import io.github.kklip.store.publication.Storage;
import io.github.kklip.teacher.CaptionEmbedder;
import io.github.kklip.teacher.TeacherFolder;
import io.github.kklip.tokenize.TokenizerStage;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * Checks the stages that make a dataset: {@code ingest}, {@code tokenizer}, {@code embed}, {@code
 * cluster}. What a stage of the same job will make need not be there; what is there must fit.
 */
final class DatasetChecks {
  private final Findings findings;
  private final Settings settings;
  private final Configuration configuration;
  private final Machine machine;
  private final List<String> stages;
  private final boolean demo;
  private Optional<DatasetFolder> folder = Optional.empty();
  private Optional<DatasetManifest> pairs = Optional.empty();

  DatasetChecks(
      Findings findings,
      Settings settings,
      Configuration configuration,
      Machine machine,
      List<String> stages,
      boolean demo) {
    this.findings = findings;
    this.settings = settings;
    this.configuration = configuration;
    this.machine = machine;
    this.stages = stages;
    this.demo = demo;
  }

  /** The dataset's folder; empty when it was not given or cannot be one. */
  Optional<DatasetFolder> folder() {
    return folder;
  }

  /** The manifest of what is there; empty when there is none. */
  Optional<DatasetManifest> pairs() {
    return pairs;
  }

  /** The manifest, when no stage of this job adds to it: what it counts is then final. */
  Optional<DatasetManifest> finalPairs() {
    return stages.contains("ingest") ? Optional.empty() : pairs;
  }

  void make() {
    if (stages.contains("ingest")) {
      sources();
    }
    boolean needed = stages.stream().anyMatch(stage -> !stage.equals("export"));
    String dataset = settings.dataset();
    if (needed && findings.isSet("dataset", dataset)) {
      folder = look(() -> new DatasetFolder(dataset, configuration));
      folder.ifPresent(this::dataset);
    }
    if (stages.contains("embed")) {
      embed();
    }
    if (stages.contains("cluster")) {
      folder.ifPresent(this::cluster);
    }
  }

  private <T> Optional<T> look(Findings.Check<T> check) {
    return findings.look("dataset", settings.dataset(), check);
  }

  private void must(Findings.Condition condition) {
    findings.holds("dataset", settings.dataset(), condition);
  }

  private void sources() {
    List<IngestSettings.SourceSettings> sources = settings.ingest().sources();
    findings.holds("ingest.sources", "", () -> IngestStage.requireSources(settings));
    for (int i = 0; i < sources.size(); i++) {
      int index = i;
      IngestSettings.SourceSettings source = sources.get(i);
      findings.holds(
          "ingest.sources[" + i + "]",
          source.path(),
          () -> SourceFiles.requireSome(configuration, index, source));
    }
  }

  private void dataset(DatasetFolder there) {
    if (stages.stream().anyMatch(List.of("ingest", "tokenizer", "embed", "cluster")::contains)) {
      must(() -> Outputs.requireWritable("dataset", settings.dataset(), configuration));
    }
    pairs =
        stages.contains("ingest")
            ? look(() -> there.readManifest().orElse(null))
            : look(there::requireManifest);
    if (stages.contains("ingest")) {
      pairs.ifPresent(made -> must(() -> IngestStage.requireSame(settings, there, made)));
    }
    if (stages.contains("tokenizer")) {
      must(
          () -> {
            boolean made = pairs.isPresent() && TokenizerStage.isMade(settings, there, pairs.get());
            if (!made && finalPairs().isPresent()) {
              TokenizerStage.requireTrainingPairs(there, finalPairs().get().shards(Split.TRAIN));
            }
          });
    }
    if (stages.contains("embed")) {
      finalPairs().ifPresent(last -> must(() -> EmbedStage.requireTrainingPairs(there, last)));
    }
  }

  private void embed() {
    TeacherSettings teacher = settings.teacher();
    Optional<TeacherManifest> made = pairs.map(there -> there.teachers().get(teacher.name()));
    if (findings.look("teacher.path", teacher.path(), () -> isTeacherNeeded(made)).orElse(true)) {
      findings.holds(
          "teacher.path",
          teacher.path(),
          () -> {
            if (machine.computesOnCpuHere()) {
              EmbedStage.checkOnCpu(configuration, teacher, machine.memoryMb() << 20);
            } else {
              var unused = EmbedStage.check(configuration, teacher);
            }
          });
    }
    if (made.isPresent()) {
      findings.holds(
          "teacher.name",
          teacher.name(),
          () -> EmbedStage.requireSame(settings, folder.get(), made.get(), identity(made.get())));
    }
  }

  private boolean isTeacherNeeded(Optional<TeacherManifest> made) throws IOException {
    boolean set = !settings.teacher().path().isEmpty();
    if (demo && set && !teacherIsThere()) {
      // The demo makes it.
      Outputs.requireWritable("teacher.path", settings.teacher().path(), configuration);
      return false;
    }
    return made.isEmpty()
        || pairs.isEmpty()
        || EmbedStage.needsTeacher(settings.teacher(), folder.get(), pairs.get(), made.get());
  }

  /**
   * Of the teacher that is there, when it is on a local disk: elsewhere each sample of its weights
   * is a request of its own, and the stage alone compares it.
   */
  private String identity(TeacherManifest made) throws IOException {
    String path = settings.teacher().path();
    boolean local =
        teacherIsThere() && Storage.isLocal(configuration, Storage.path(path, configuration));
    return local
        ? TeacherFolder.identity(configuration, path)
        : CaptionEmbedder.identity(made.settings());
  }

  private boolean teacherIsThere() throws IOException {
    if (settings.teacher().path().isEmpty()) {
      return false;
    }
    Path path = new Path(Storage.path(settings.teacher().path(), configuration), "config.json");
    return Storage.of(configuration, path).exists(path);
  }

  private void cluster(DatasetFolder there) {
    String name = settings.teacher().name();
    boolean embeds = stages.contains("embed");
    Optional<TeacherManifest> teacher =
        embeds
            ? pairs.map(all -> all.teachers().get(name))
            : pairs.flatMap(all -> look(() -> ConceptStage.requireTeacher(there, all, name)));
    Optional<ConceptManifest> made =
        pairs.map(all -> all.concepts().get(settings.concepts().name()));
    if (!embeds && teacher.isPresent() && pairs.isPresent()) {
      must(
          () -> {
            ConceptStage.requireEmbeddings(there, settings, pairs.get(), teacher.get());
            var unused = Postprocessing.of(settings.teacher().postprocess(), teacher.get());
          });
    }
    Optional<Boolean> stays =
        made.isPresent() && teacher.isPresent() && pairs.isPresent()
            ? findings.look(
                "concepts.name",
                settings.concepts().name(),
                () -> ConceptStage.stays(there, settings, pairs.get(), teacher.get(), made.get()))
            : Optional.of(false);
    if (stays.equals(Optional.of(false))) {
      finalPairs()
          .ifPresent(
              last ->
                  findings.holds(
                      "concepts.k",
                      Integer.toString(settings.concepts().k()),
                      () ->
                          ConceptStage.requireRows(
                              settings.concepts().k(), last.rows(Split.TRAIN))));
    }
  }
}
