package io.github.kklip.embed;

import static io.github.kklip.config.Message.message;

import ai.djl.Device;
import com.fasterxml.jackson.annotation.JsonIgnore;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import io.github.kklip.config.Role;
import io.github.kklip.config.Roles;
import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.config.TeacherSettings;
import io.github.kklip.progress.Progress;
import io.github.kklip.safetensors.Safetensors;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.Manifests;
import io.github.kklip.store.Manifests.ConflictException;
import io.github.kklip.store.ProcessingSettings;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Split;
import io.github.kklip.store.TeacherManifest;
import io.github.kklip.store.Vector;
import io.github.kklip.store.publication.LocalCopy;
import io.github.kklip.store.publication.PortableConfiguration;
import io.github.kklip.store.publication.Storage;
import io.github.kklip.store.shards.ShardReader;
import io.github.kklip.store.shards.UnnamedFiles;
import io.github.kklip.store.shards.VectorFormat;
import io.github.kklip.tasks.ShardTasks;
import io.github.kklip.tasks.StageLease;
import io.github.kklip.tasks.TaskCounts;
import io.github.kklip.tasks.TaskProgress;
import io.github.kklip.teacher.CaptionEmbedder;
import io.github.kklip.teacher.LlamaConfig;
import io.github.kklip.teacher.SharedEmbedder;
import io.github.kklip.teacher.TeacherFolder;
import io.github.kklip.tensor.Torch;
import java.io.IOException;
import java.io.Serializable;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.spark.SparkEnv;
import org.apache.spark.api.java.JavaSparkContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The stage between pairs and concepts: one task for each shard embeds its captions with the
 * teacher. Shards that are there stay, so that an interrupted stage goes on with what is missing.
 *
 * <p>The manifest's mean is over the training rows as they are stored: each shard's sum in row
 * order, then the sums in shard order, all in float64, so it does not depend on the cluster or on
 * interruptions. Once it is there it stays, also when shards are added: what was trained with it
 * keeps its meaning.
 */
public final class EmbedStage {
  private static final Logger LOG = LoggerFactory.getLogger(EmbedStage.class);

  /**
   * What the stage did.
   *
   * @param captions rows that have embeddings now
   * @param embedded rows that were embedded by this run
   * @param seconds that it took to embed them
   * @param executors that embedded them
   */
  @JsonPropertyOrder({
    "captions",
    "embedded",
    "captions_per_s",
    "executors",
    "captions_per_s_per_executor",
    "dimension",
    "output"
  })
  public record EmbedResult(
      long captions,
      long embedded,
      @JsonIgnore double seconds,
      int executors,
      int dimension,
      String output) {
    @JsonProperty("captions_per_s")
    public double captionsPerSecond() {
      return embedded == 0 ? 0 : embedded / seconds;
    }

    @JsonProperty("captions_per_s_per_executor")
    public double captionsPerSecondOfAnExecutor() {
      return executors == 0 ? 0 : captionsPerSecond() / executors;
    }
  }

  /**
   * One shard done.
   *
   * @param file of its embeddings, inside the dataset's folder
   * @param embedded rows that were not there before
   * @param sum of the stored embeddings; null unless asked for
   * @param executor that did it
   */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  private record ShardDone(String file, long embedded, double[] sum, String executor)
      implements Serializable {}

  private EmbedStage() {}

  /**
   * Embeds what is missing.
   *
   * @throws io.github.kklip.config.SettingsException when embeddings of this name were made with
   *     other settings, or the teacher does not fit into memory
   * @throws IOException when the dataset or the teacher is missing or damaged
   */
  public static EmbedResult run(JavaSparkContext spark, Settings settings) throws IOException {
    Configuration configuration = spark.hadoopConfiguration();
    TeacherSettings teacher = settings.teacher();
    DatasetFolder dataset =
        new DatasetFolder(Settings.required(settings.dataset(), "dataset"), configuration);
    DatasetManifest pairs = dataset.requireManifest();
    requireTrainingPairs(dataset, pairs);
    Optional<TeacherManifest> before = Optional.ofNullable(pairs.teachers().get(teacher.name()));
    if (before.isPresent() && !needsTeacher(teacher, dataset, pairs, before.get())) {
      requireSame(
          settings, dataset, before.get(), CaptionEmbedder.identity(before.get().settings()));
      LOG.info(
          "All captions have their embeddings in {}; the teacher is not there and not needed: {}",
          dataset.teacher(teacher.name()),
          teacher.path());
      return new EmbedResult(
          pairs.totals().pairs(),
          0,
          0,
          0,
          before.get().dimension(),
          dataset.teacher(teacher.name()).toString());
    }
    LlamaConfig config = check(configuration, teacher);
    String identity = TeacherFolder.identity(configuration, teacher.path());
    ProcessingSettings processing = processing(settings, identity);
    Path output = dataset.teacher(teacher.name());
    try (StageLease lease =
        StageLease.ofDataset(spark, dataset, output, "embed", settings.leaseExpiry())) {
      pairs = dataset.requireManifest();
      Optional<TeacherManifest> existing =
          Optional.ofNullable(pairs.teachers().get(teacher.name()));
      if (existing.isPresent()) {
        requireSame(settings, dataset, existing.get(), identity);
      }
      boolean frozen = existing.isPresent() && existing.get().meanRows() > 0;
      SortedMap<String, String> whole = frozen ? present(dataset, existing.get()) : new TreeMap<>();
      List<Shard> shards = pairs.shards();
      List<Shard> todo = shards.stream().filter(s -> !whole.containsKey(s.identity())).toList();
      LOG.info(
          "Embedding {} of {} shards with {} on {}",
          todo.size(),
          shards.size(),
          teacher.path(),
          spark.master());
      long start = System.nanoTime();
      List<ShardDone> done;
      try (TaskProgress progress =
          TaskProgress.begin(
              spark,
              Progress.of("embed", "captions").total(todo.stream().mapToLong(Shard::rows).sum()))) {
        done =
            embed(spark, settings, dataset, todo, processing, identity, !frozen, progress.counts());
        progress.done();
      }
      double seconds = (System.nanoTime() - start) / 1e9;
      lease.check();
      SortedMap<String, String> files = new TreeMap<>(whole);
      for (int i = 0; i < todo.size(); i++) {
        files.put(todo.get(i).identity(), done.get(i).file());
      }
      TeacherManifest manifest =
          frozen
              ? manifest(processing, config, teacher, files, existing.get())
              : withMean(processing, config, teacher, files, todo, done);
      commit(dataset, pairs, teacher.name(), manifest);
      EmbedResult result =
          new EmbedResult(
              pairs.totals().pairs(),
              done.stream().mapToLong(ShardDone::embedded).sum(),
              seconds,
              (int)
                  done.stream()
                      .filter(shard -> shard.embedded > 0)
                      .map(ShardDone::executor)
                      .distinct()
                      .count(),
              config.hidden(),
              output.toString());
      return result;
    }
  }

  /** Refuses a dataset that has nothing to take the mean of. */
  public static void requireTrainingPairs(DatasetFolder dataset, DatasetManifest pairs) {
    if (pairs.rows(Split.TRAIN) == 0) {
      throw new SettingsException(
          message(
              "Cannot embed the captions of %s because it has no training pairs. Look at its rejects, and at ingest.validation-fraction.",
              dataset.root()));
    }
  }

  /**
   * Refuses a teacher that cannot be used, by its small files and by the names of the others.
   *
   * @return its shape
   * @throws io.github.kklip.config.SettingsException when {@code teacher.path} is not set, or there
   *     is no such folder
   * @throws IOException when a file is missing or damaged, or is not a Llama's
   */
  public static LlamaConfig check(Configuration configuration, TeacherSettings teacher)
      throws IOException {
    String path = Settings.required(teacher.path(), "teacher.path");
    try (LocalCopy small = LocalCopy.of(configuration, path, TeacherFolder::isSmall)) {
      LlamaConfig config = CaptionEmbedder.check(small.path(), teacher);
      Safetensors.requireFiles(configuration, path);
      return config;
    }
  }

  /**
   * As {@link #check}, and refuses a teacher that a CPU with so much memory cannot hold.
   *
   * @param memory bytes
   */
  public static void checkOnCpu(Configuration configuration, TeacherSettings teacher, long memory)
      throws IOException {
    String path = Settings.required(teacher.path(), "teacher.path");
    try (LocalCopy small = LocalCopy.of(configuration, path, TeacherFolder::isSmall)) {
      var unused = CaptionEmbedder.requireUsable(small.path(), teacher, Device.cpu(), memory);
      Safetensors.requireFiles(configuration, path);
    }
  }

  /**
   * Whether the stage asks for the teacher: not when it is gone and nothing is left to embed.
   *
   * @param made the embeddings of this name that are there
   */
  public static boolean needsTeacher(
      TeacherSettings teacher, DatasetFolder dataset, DatasetManifest pairs, TeacherManifest made)
      throws IOException {
    if (!teacher.path().isEmpty()) {
      Path path = Storage.path(teacher.path(), dataset.configuration());
      if (Storage.of(dataset.configuration(), path).exists(path)) {
        return true;
      }
    }
    return made.meanRows() == 0
        || !present(dataset, made)
            .keySet()
            .containsAll(pairs.shards().stream().map(Shard::identity).toList());
  }

  /**
   * Refuses to add to embeddings that were made with other settings.
   *
   * @param identity of the teacher's files ({@link TeacherFolder#identity})
   * @throws io.github.kklip.config.SettingsException naming every setting that differs
   */
  public static void requireSame(
      Settings settings, DatasetFolder dataset, TeacherManifest made, String identity) {
    processing(settings, identity)
        .requireSame(
            made.settings(),
            "the embeddings " + dataset.teacher(settings.teacher().name()),
            "another teacher.name");
  }

  /** The settings that decide embeddings; the teacher counts by its files. */
  private static ProcessingSettings processing(Settings settings, String identity) {
    return new ProcessingSettings(
        Roles.identity(settings, Role.Output.TEACHER, Map.of("teacher.path", identity)));
  }

  /** The files of the manifest that are there. */
  private static SortedMap<String, String> present(DatasetFolder dataset, TeacherManifest manifest)
      throws IOException {
    SortedMap<String, String> present = new TreeMap<>(manifest.files());
    present.values().retainAll(dataset.present(manifest.files().values()));
    return present;
  }

  /** Unless the dataset has other embeddings of this name by now, or other pairs. */
  private static void commit(
      DatasetFolder dataset, DatasetManifest worked, String name, TeacherManifest made)
      throws IOException {
    Manifests.commit(
        dataset,
        worked,
        newest -> {
          if (!Objects.equals(newest.teachers().get(name), worked.teachers().get(name))) {
            throw new ConflictException(
                dataset.root(), "the embeddings " + name, "another job has added to them");
          }
          if (!newest.shards().containsAll(worked.shards())) {
            throw new ConflictException(
                dataset.root(), "the embeddings " + name, "another job has replaced the pairs");
          }
          return newest.with(name, made);
        });
  }

  private static List<ShardDone> embed(
      JavaSparkContext spark,
      Settings settings,
      DatasetFolder dataset,
      List<Shard> shards,
      ProcessingSettings processing,
      String identity,
      boolean sums,
      TaskCounts counts)
      throws IOException {
    String root = dataset.root().toString();
    PortableConfiguration configuration = new PortableConfiguration(dataset.configuration());
    TeacherSettings teacher = settings.teacher();
    UnnamedFiles left = UnnamedFiles.in(dataset, dataset.teacher(teacher.name(), processing));
    return ShardTasks.run(
        spark,
        "the embedding of captions",
        settings.threads(),
        shards,
        (shard, place) -> {
          DatasetFolder folder = new DatasetFolder(root, configuration.get());
          Optional<Path> there =
              left.find(folder, shard, VectorFormat.AS_STORED, processing.digest());
          Path file;
          if (there.isPresent()) {
            file = there.get();
            counts.doneBefore(shard.rows());
          } else {
            Torch.start(place.threads());
            try (SharedEmbedder shared =
                SharedEmbedder.acquire(configuration.get(), teacher, identity, place.device())) {
              file =
                  shared.embedder().embed(folder, teacher.name(), shard, processing, counts::done);
            }
          }
          boolean needed = sums && shard.split() == Split.TRAIN;
          return new ShardDone(
              folder.inside(file),
              there.isPresent() ? 0 : shard.rows(),
              needed ? sum(folder, file, shard, processing) : null,
              SparkEnv.get().executorId());
        });
  }

  private static double[] sum(
      DatasetFolder dataset, Path file, Shard shard, ProcessingSettings processing)
      throws IOException {
    try (ShardReader<Vector> reader =
        ShardReader.open(
            dataset.configuration(), file, VectorFormat.AS_STORED, shard, processing.digest())) {
      double[] sum = new double[VectorFormat.dimension(reader)];
      for (int group = 0; group < reader.rowGroups(); group++) {
        for (Vector vector : reader.readGroup(group)) {
          for (int j = 0; j < sum.length; j++) {
            sum[j] += vector.values()[j];
          }
        }
      }
      return sum;
    }
  }

  private static TeacherManifest withMean(
      ProcessingSettings processing,
      LlamaConfig config,
      TeacherSettings teacher,
      SortedMap<String, String> files,
      List<Shard> shards,
      List<ShardDone> done) {
    double[] mean = new double[config.hidden()];
    long rows = 0;
    for (int i = 0; i < shards.size(); i++) {
      if (shards.get(i).split() == Split.TRAIN) {
        rows += shards.get(i).rows();
        for (int j = 0; j < mean.length; j++) {
          mean[j] += done.get(i).sum()[j];
        }
      }
    }
    for (int j = 0; j < mean.length; j++) {
      mean[j] /= rows;
    }
    return new TeacherManifest(
        processing,
        config.hidden(),
        CaptionEmbedder.storage(teacher),
        files,
        rows,
        Arrays.stream(mean).boxed().toList());
  }

  /** With the files of now and the mean of before. */
  private static TeacherManifest manifest(
      ProcessingSettings processing,
      LlamaConfig config,
      TeacherSettings teacher,
      SortedMap<String, String> files,
      TeacherManifest before) {
    return new TeacherManifest(
        processing,
        config.hidden(),
        CaptionEmbedder.storage(teacher),
        files,
        before.meanRows(),
        before.mean());
  }
}
