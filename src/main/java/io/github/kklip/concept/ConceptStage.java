package io.github.kklip.concept;

import static io.github.kklip.config.Message.message;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.github.kklip.config.ConceptSettings;
import io.github.kklip.config.Role;
import io.github.kklip.config.Roles;
import io.github.kklip.config.Seeds;
import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.kmeans.Lloyd;
import io.github.kklip.kmeans.MiniBatch;
import io.github.kklip.progress.Progress;
import io.github.kklip.store.ConceptManifest;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.Identity;
import io.github.kklip.store.Manifests;
import io.github.kklip.store.Manifests.ConflictException;
import io.github.kklip.store.ProcessingSettings;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Split;
import io.github.kklip.store.TeacherManifest;
import io.github.kklip.store.publication.Digests;
import io.github.kklip.store.publication.Json;
import io.github.kklip.store.publication.Publication;
import io.github.kklip.store.publication.Storage;
import io.github.kklip.store.shards.UnnamedFiles;
import io.github.kklip.tasks.StageLease;
import io.github.kklip.tasks.TaskCounts;
import io.github.kklip.tasks.TaskProgress;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.spark.api.java.JavaSparkContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import scala.Tuple2;

/**
 * The stage between embeddings and training: k-means over the training embeddings, then a soft
 * label for every pair of both splits, in shards that follow the pair shards row by row.
 *
 * <p>The dataset's manifest names a clustering when all labels are there, so that concepts that are
 * made anew replace the old ones in one step. A stage that was interrupted goes on with the missing
 * shards, shards that came later get labels from the centroids that exist, and concepts made with
 * other settings are refused.
 */
public final class ConceptStage {
  private static final Logger LOG = LoggerFactory.getLogger(ConceptStage.class);

  private final JavaSparkContext spark;
  private final Settings settings;
  private final String name;
  private final DatasetFolder folder;
  private final DatasetManifest dataset;
  private final TeacherManifest teacher;
  private final VectorSource source;

  private ConceptStage(JavaSparkContext spark, Settings settings, DatasetFolder folder)
      throws IOException {
    this.spark = spark;
    this.settings = settings;
    this.folder = folder;
    this.name = settings.concepts().name();
    this.dataset = folder.requireManifest();
    this.teacher = requireTeacher(folder, dataset, settings.teacher().name());
    this.source =
        VectorSource.of(
            folder,
            teacher,
            settings.teacher().postprocess(),
            settings.concepts().kmeans().metric());
  }

  /**
   * What the stage did.
   *
   * @param iterations of k-means, also when an earlier run did them
   * @param secondsPerIteration 0 when the centroids were there already
   * @param labelled shards that got labels now
   * @param page what each concept is, for people
   */
  public record ConceptResult(
      int k,
      int iterations,
      double inertia,
      double secondsPerIteration,
      double temperature,
      double perplexity,
      int topK,
      @JsonProperty("labelled_shards") int labelled,
      String page,
      String output) {}

  /** Clusters unless that was done, and labels the shards that have no labels yet. */
  public static ConceptResult run(JavaSparkContext spark, Settings settings) throws IOException {
    DatasetFolder folder =
        new DatasetFolder(
            Settings.required(settings.dataset(), "dataset"), spark.hadoopConfiguration());
    DatasetManifest dataset = folder.requireManifest();
    requireEmbeddings(
        folder, settings, dataset, requireTeacher(folder, dataset, settings.teacher().name()));
    try (StageLease lease =
        StageLease.ofDataset(
            spark,
            folder,
            folder.concepts(settings.concepts().name()),
            "cluster",
            settings.leaseExpiry())) {
      return new ConceptStage(spark, settings, folder).run(lease);
    }
  }

  private ConceptResult run(StageLease lease) throws IOException {
    requireEmbeddings(folder, settings, dataset, teacher);
    ConceptManifest existing = dataset.concepts().get(name);
    boolean stays = existing != null && stays(folder, settings, dataset, teacher, existing);
    double secondsPerIteration = 0;
    Optional<ConceptManifest> made = stays ? Optional.of(existing) : unfinished();
    ConceptManifest manifest;
    if (made.isPresent()) {
      manifest = made.get();
    } else {
      requireRows(settings.concepts().k(), dataset.rows(Split.TRAIN));
      Clustering clustering = cluster(dataset.shards(Split.TRAIN));
      lease.check();
      manifest = write(clustering);
      secondsPerIteration = clustering.secondsPerIteration();
    }
    List<Shard> missing = missing(manifest);
    SortedMap<String, String> files = new TreeMap<>(manifest.files());
    if (!missing.isEmpty()) {
      files.putAll(label(manifest, missing));
      lease.check();
    }
    commit(manifest.with(files));
    LOG.info("Concepts in {}: {} shards labelled now", folder.concepts(name), missing.size());
    return result(manifest, secondsPerIteration, missing.size());
  }

  /** Unless the dataset has other concepts of this name by now, other embeddings, other pairs. */
  private void commit(ConceptManifest made) throws IOException {
    String what = "the concepts " + name;
    Manifests.commit(
        folder,
        dataset,
        newest -> {
          if (!Objects.equals(newest.concepts().get(name), dataset.concepts().get(name))) {
            throw new ConflictException(folder.root(), what, "another job has made some");
          }
          TeacherManifest vectors = newest.teachers().get(settings.teacher().name());
          if (vectors == null
              || !vectors.settings().equals(teacher.settings())
              || !vectors.mean().equals(teacher.mean())) {
            throw new ConflictException(
                folder.root(), what, "another job has replaced their embeddings");
          }
          if (!newest.shards().containsAll(dataset.shards())) {
            throw new ConflictException(folder.root(), what, "another job has replaced the pairs");
          }
          return newest.with(name, made);
        });
  }

  /**
   * Whether concepts that are there stay; otherwise they are made anew.
   *
   * @throws SettingsException when they would stay but were made with other settings
   */
  public static boolean stays(
      DatasetFolder folder,
      Settings settings,
      DatasetManifest dataset,
      TeacherManifest teacher,
      ConceptManifest made) {
    ProcessingSettings processing = processing(settings, teacher);
    if (settings.concepts().recluster()) {
      return made.format() == ConceptManifest.FORMAT
          && made.settings().equals(processing)
          && made.files().keySet().equals(identities(dataset.shards()));
    }
    Path output = folder.concepts(settings.concepts().name());
    if (made.format() != ConceptManifest.FORMAT) {
      throw new SettingsException(
          message(
              "Cannot use the concepts %s because they were made by an earlier version, whose manifest does not say of which embeddings: it has format %s and this version writes %s. Use another concepts.name, or concepts.recluster = true, which makes them anew.",
              output, made.format(), ConceptManifest.FORMAT));
    }
    processing.requireSame(
        made.settings(),
        "the concepts " + output,
        "another concepts.name, or concepts.recluster = true, which makes them anew");
    return true;
  }

  private static Set<String> identities(List<Shard> shards) {
    return shards.stream().map(Shard::identity).collect(Collectors.toSet());
  }

  /**
   * The embeddings to cluster.
   *
   * @throws SettingsException when there are none of that name
   */
  public static TeacherManifest requireTeacher(
      DatasetFolder folder, DatasetManifest dataset, String name) {
    TeacherManifest made = dataset.teachers().get(name);
    if (made == null) {
      throw new SettingsException(
          message(
              "Cannot cluster %s because it has no embeddings called %s. Make them first, with the job embed.",
              folder.root(), name));
    }
    return made;
  }

  /** Refuses more concepts than there are rows to find them in. */
  public static void requireRows(int k, long rows) {
    Clustering.requireRows(k, rows);
  }

  private ConceptResult result(ConceptManifest manifest, double secondsPerIteration, int labelled) {
    int iterations = manifest.inertia().size() - 1;
    return new ConceptResult(
        manifest.k(),
        iterations,
        manifest.inertia().get(iterations),
        secondsPerIteration,
        manifest.temperature(),
        manifest.perplexity(),
        manifest.topK(),
        labelled,
        ConceptPage.file(folder, name, manifest).toString(),
        folder.concepts(name).toString());
  }

  /** Refuses a dataset with shards that have no embeddings, or without training pairs. */
  public static void requireEmbeddings(
      DatasetFolder folder, Settings settings, DatasetManifest dataset, TeacherManifest teacher) {
    List<String> missing =
        dataset.shards().stream()
            .filter(shard -> !teacher.contains(shard))
            .map(Shard::file)
            .toList();
    if (!missing.isEmpty()) {
      throw new SettingsException(
          message(
              "Cannot cluster %s because %s of its shards have no embeddings called %s, the first being %s. Run the job embed again.",
              folder.root(), missing.size(), settings.teacher().name(), missing.get(0)));
    }
    if (dataset.shards(Split.TRAIN).isEmpty()) {
      throw new SettingsException(
          message("Cannot cluster %s because it has no training pairs.", folder.root()));
    }
  }

  /** The settings that decide centroids and labels. */
  private static ProcessingSettings processing(Settings settings, TeacherManifest teacher) {
    String embeddings =
        TeacherManifest.content(
            settings.teacher().name(), teacher.settings(), teacher.meanDigest());
    return new ProcessingSettings(
        Roles.identity(settings, Role.Output.CONCEPTS, Map.of("teacher.name", embeddings)));
  }

  private Clustering cluster(List<Shard> train) throws IOException {
    ConceptSettings concepts = settings.concepts();
    int partitions = partitions(train);
    if (concepts.kmeans().batchRows() > 0) {
      try (SparkRows rows =
          SparkRows.passing(spark, source, train, settings.threads(), partitions)) {
        return Clustering.of(
            rows,
            concepts,
            settings.seed(),
            (all, totals) -> new MiniBatch(i -> batch(train, i), totals, concepts.k()));
      }
    }
    try (SparkRows rows = SparkRows.of(spark, source, train, settings.threads(), partitions)) {
      return switch (concepts.kmeans().engine()) {
        case GEMM -> Clustering.of(rows, concepts, settings.seed(), Lloyd::gemm);
        case MLLIB -> {
          try (MLlibEngine mllib = new MLlibEngine(rows)) {
            yield Clustering.of(rows, concepts, settings.seed(), (same, totals) -> mllib);
          }
        }
      };
    }
  }

  private int partitions(List<Shard> train) {
    long rows = train.stream().mapToLong(Shard::rows).sum();
    return SparkRows.partitions(
        rows * teacher.dimension() * Float.BYTES, Math.max(1, spark.defaultParallelism()));
  }

  /** The shards of one mini-batch: rows are in random order over them since ingest. */
  private SparkRows batch(List<Shard> train, int iteration) {
    long seed = Seeds.derive(settings.seed(), "k-means batch", iteration);
    List<Shard> shuffled = new ArrayList<>(train);
    shuffled.sort(Comparator.comparingLong(shard -> Seeds.derive(seed, "shard", shard.index())));
    List<Shard> drawn = new ArrayList<>();
    long rows = 0;
    for (Shard shard : shuffled) {
      if (rows < settings.concepts().kmeans().batchRows()) {
        drawn.add(shard);
        rows += shard.rows();
      }
    }
    return SparkRows.of(
        spark, source, drawn, settings.threads(), Math.max(1, spark.defaultParallelism()));
  }

  /**
   * Names the work of a clustering: its settings and the rows that it is over. A run that is
   * interrupted before all labels are there leaves its clustering under this name.
   */
  private Path unfinishedFile() {
    TreeMap<String, String> work = new TreeMap<>(processing(settings, teacher).values());
    List<String> rows = dataset.shards(Split.TRAIN).stream().map(Shard::identity).toList();
    work.put("rows", String.join(" ", rows));
    return new Path(folder.concepts(name), "clustering-" + Identity.ofSettings(work) + ".json");
  }

  /** What an interrupted run has found. */
  private Optional<ConceptManifest> unfinished() throws IOException {
    Path file = unfinishedFile();
    String begin = file.getName().substring(0, file.getName().length() - ".json".length());
    FileSystem files = Storage.of(folder.configuration(), file);
    for (FileStatus status : files.listStatus(file.getParent())) {
      Path found = status.getPath();
      if (found.getName().startsWith(begin) && Digests.isInName(folder.configuration(), found)) {
        LOG.info("Going on with the clustering of an interrupted run, {}", found);
        return Json.readIfPresent(folder.configuration(), found, ConceptManifest.class);
      }
    }
    return Optional.empty();
  }

  /** Writes centroids, what the clustering is, and the pages for people. */
  private ConceptManifest write(Clustering clustering) throws IOException {
    Centroids.Written centroids =
        Centroids.write(folder, name, clustering.centres(), source.origin());
    ProcessingSettings processing = processing(settings, teacher);
    ConceptManifest manifest =
        new ConceptManifest(
            ConceptManifest.FORMAT,
            processing,
            settings.teacher().name(),
            clustering.centres().k(),
            clustering.centres().dimension(),
            clustering.temperature(),
            clustering.perplexity(),
            clustering.topK(),
            clustering.topMass(),
            clustering.inertia(),
            clustering.sizes(),
            centroids.sha256(),
            centroids.file(),
            ConceptManifest.made(processing, centroids.sha256()),
            Collections.emptySortedMap());
    Quality quality =
        Quality.of(
            clustering,
            ImageAgreement.of(
                spark,
                source,
                dataset.shards(Split.TRAIN),
                clustering.centres(),
                clustering.sizes(),
                settings.threads()));
    Json.write(folder.configuration(), Quality.file(folder, name, manifest), quality);
    List<List<String>> captions = ConceptCaptions.of(spark, source, dataset, clustering.members());
    ConceptPage.write(folder, name, manifest, quality, captions);
    Publication.writeByContent(folder.configuration(), unfinishedFile(), Json.pretty(manifest));
    return manifest;
  }

  /** The shards whose labels are not in the manifest, or not there. */
  private List<Shard> missing(ConceptManifest manifest) throws IOException {
    Set<String> there = folder.present(manifest.files().values());
    return dataset.shards().stream()
        .filter(shard -> !there.contains(manifest.files().getOrDefault(shard.identity(), "")))
        .toList();
  }

  private SortedMap<String, String> label(ConceptManifest manifest, List<Shard> missing)
      throws IOException {
    Path output = folder.concepts(name, manifest);
    Labeller labeller =
        new Labeller(
            source,
            output.toString(),
            UnnamedFiles.in(folder, output),
            manifest.made(),
            Centroids.read(folder, manifest, source.origin()),
            manifest.temperature(),
            manifest.topK(),
            settings.threads());
    long rows = missing.stream().mapToLong(Shard::rows).sum();
    try (TaskProgress progress =
        TaskProgress.begin(spark, Progress.of("cluster", "labels").total(rows))) {
      TaskCounts counts = progress.counts();
      SortedMap<String, String> files = new TreeMap<>();
      spark
          .parallelize(missing, missing.size())
          .map(shard -> new Tuple2<>(shard.identity(), labeller.label(shard, counts)))
          .collect()
          .forEach(file -> files.put(file._1, file._2));
      progress.done();
      return files;
    }
  }
}
