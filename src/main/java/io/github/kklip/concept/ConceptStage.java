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
import io.github.kklip.store.ProcessingSettings;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Split;
import io.github.kklip.store.TeacherManifest;
import io.github.kklip.store.publication.Json;
import io.github.kklip.store.publication.Publication;
import io.github.kklip.store.publication.Storage;
import io.github.kklip.tasks.StageLease;
import io.github.kklip.tasks.TaskCounts;
import io.github.kklip.tasks.TaskProgress;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.spark.api.java.JavaSparkContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The stage between embeddings and training: k-means over the training embeddings, then a soft
 * label for every pair of both splits, in shards that follow the pair shards row by row.
 *
 * <p>The manifest is written once the centroids are, and again when all labels are there. A stage
 * that was interrupted goes on with the missing shards, shards that came later get labels from the
 * centroids that exist, and a folder made with other settings is refused.
 */
public final class ConceptStage {
  private static final Logger LOG = LoggerFactory.getLogger(ConceptStage.class);

  private final JavaSparkContext spark;
  private final Settings settings;
  private final String name;
  private final DatasetFolder folder;
  private final TeacherManifest teacher;
  private final VectorSource source;

  private ConceptStage(JavaSparkContext spark, Settings settings) throws IOException {
    this.spark = spark;
    this.settings = settings;
    this.name = settings.concepts().name();
    this.folder =
        new DatasetFolder(
            Settings.required(settings.dataset(), "dataset"), spark.hadoopConfiguration());
    String teacherName = settings.teacher().name();
    this.teacher = requireTeacher(folder, teacherName);
    this.source =
        VectorSource.of(
            folder,
            teacherName,
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
      String output) {}

  /** Clusters unless that was done, and labels the shards that have no labels yet. */
  public static ConceptResult run(JavaSparkContext spark, Settings settings) throws IOException {
    return new ConceptStage(spark, settings).run();
  }

  private ConceptResult run() throws IOException {
    DatasetManifest dataset = folder.requireManifest();
    requireEmbeddings(folder, settings, dataset, teacher);
    Path output = folder.concepts(name);
    try (StageLease lease =
        StageLease.acquire(
            spark, folder.configuration(), output, "cluster", settings.leaseExpiry())) {
      Publication.sweep(folder.configuration(), output);
      Optional<ConceptManifest> existing = folder.readConceptManifest(name);
      double secondsPerIteration = 0;
      ConceptManifest manifest;
      if (existing.isPresent() && stays(folder, settings, dataset, teacher, existing.get())) {
        manifest = existing.get();
      } else {
        // Before the old concepts are gone.
        requireRows(settings.concepts().k(), dataset.rows(Split.TRAIN));
        withdraw();
        Clustering clustering = cluster(dataset.shards(Split.TRAIN));
        lease.check();
        manifest = publish(clustering, dataset);
        secondsPerIteration = clustering.secondsPerIteration();
      }
      List<Shard> missing = missing(manifest, dataset.shards());
      if (!missing.isEmpty()) {
        label(manifest, missing);
        lease.check();
        manifest = withShards(manifest, dataset.shards());
        Json.write(folder.configuration(), folder.conceptManifest(name), manifest);
      }
      LOG.info("Concepts in {}: {} shards labelled now", output, missing.size());
      return result(manifest, secondsPerIteration, missing.size());
    }
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
          && dataset.shards().equals(made.shards());
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

  /**
   * The embeddings to cluster.
   *
   * @throws SettingsException when there are none of that name
   */
  public static TeacherManifest requireTeacher(DatasetFolder folder, String name)
      throws IOException {
    return folder
        .readTeacherManifest(name)
        .orElseThrow(
            () ->
                new SettingsException(
                    message(
                        "Cannot cluster %s because it has no embeddings called %s. Make them first, with the job embed.",
                        folder.root(), name)));
  }

  /** Refuses more concepts than there are rows to find them in. */
  public static void requireRows(int k, long rows) {
    Clustering.requireRows(k, rows);
  }

  /** Without the manifest, labels are orphans; so nobody takes old labels for new ones. */
  private void withdraw() throws IOException {
    Storage.of(folder.configuration(), folder.conceptManifest(name))
        .delete(folder.conceptManifest(name), false);
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
        folder.concepts(name).toString());
  }

  /** Refuses a dataset with shards that have no embeddings, or without training pairs. */
  public static void requireEmbeddings(
      DatasetFolder folder, Settings settings, DatasetManifest dataset, TeacherManifest teacher) {
    Set<Shard> embedded = new HashSet<>(teacher.shards());
    List<String> missing =
        dataset.shards().stream()
            .filter(shard -> !embedded.contains(shard))
            .map(Shard::fileName)
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
    removeOrphans();
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

  /** Labels without a manifest belong to centroids that are gone. */
  private void removeOrphans() throws IOException {
    FileSystem files = Storage.of(folder.configuration(), folder.concepts(name));
    for (FileStatus file : files.listStatus(folder.concepts(name))) {
      if (file.getPath().getName().endsWith(".parquet")) {
        LOG.info("Removing {}: there is no manifest to it", file.getPath());
        files.delete(file.getPath(), false);
      }
    }
  }

  private ConceptManifest publish(Clustering clustering, DatasetManifest dataset)
      throws IOException {
    String digest = Centroids.write(folder, name, clustering.centres(), source.origin());
    ConceptManifest manifest =
        new ConceptManifest(
            ConceptManifest.FORMAT,
            processing(settings, teacher),
            settings.teacher().name(),
            clustering.centres().k(),
            clustering.centres().dimension(),
            clustering.temperature(),
            clustering.perplexity(),
            clustering.topK(),
            clustering.topMass(),
            clustering.inertia(),
            clustering.sizes(),
            digest,
            List.of());
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
    Json.write(folder.configuration(), new Path(folder.concepts(name), Quality.FILE), quality);
    List<List<String>> captions = ConceptCaptions.of(spark, source, dataset, clustering.members());
    ConceptPage.write(folder, name, manifest, quality, captions);
    Json.write(folder.configuration(), folder.conceptManifest(name), manifest);
    return manifest;
  }

  private List<Shard> missing(ConceptManifest manifest, List<Shard> shards) throws IOException {
    Set<Shard> done = new HashSet<>(manifest.shards());
    FileSystem files = Storage.of(folder.configuration(), folder.concepts(name));
    List<Shard> missing = new ArrayList<>();
    for (Shard shard : shards) {
      if (!done.contains(shard) || !files.exists(folder.concepts(name, shard))) {
        missing.add(shard);
      }
    }
    return missing;
  }

  private void label(ConceptManifest manifest, List<Shard> missing) throws IOException {
    Labeller labeller =
        new Labeller(
            source,
            name,
            manifest.settings(),
            Centroids.read(folder, name, manifest, source.origin()),
            manifest.temperature(),
            manifest.topK(),
            settings.threads());
    long rows = missing.stream().mapToLong(Shard::rows).sum();
    try (TaskProgress progress =
        TaskProgress.begin(spark, Progress.of("cluster", "labels").total(rows))) {
      TaskCounts counts = progress.counts();
      spark.parallelize(missing, missing.size()).foreach(shard -> labeller.label(shard, counts));
      progress.done();
    }
  }

  private static ConceptManifest withShards(ConceptManifest manifest, List<Shard> shards) {
    return new ConceptManifest(
        manifest.format(),
        manifest.settings(),
        manifest.teacher(),
        manifest.k(),
        manifest.dimension(),
        manifest.temperature(),
        manifest.perplexity(),
        manifest.topK(),
        manifest.topMass(),
        manifest.inertia(),
        manifest.sizes(),
        manifest.centroids(),
        shards);
  }
}
