package io.github.kklip.ingest;

import io.github.kklip.config.Seeds;
import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.DatasetManifest.Generation;
import io.github.kklip.store.Json;
import io.github.kklip.store.Lease;
import io.github.kklip.store.PairReader;
import io.github.kklip.store.PortableConfiguration;
import io.github.kklip.store.ProcessingSettings;
import io.github.kklip.store.Publication;
import io.github.kklip.store.Split;
import io.github.kklip.store.Storage;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.spark.Partitioner;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.storage.StorageLevel;
import org.apache.spark.util.TaskCompletionListener;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Raw pairs to a dataset.
 *
 * <p>Sources are read, decoded and checked once; what comes out stays on the executors' disks. From
 * its ids alone the shards' boundaries are found ({@link Layout}); then every row travels once, to
 * the task that writes its shard. The manifest is written last: a run that was killed left files
 * that it does not name, which the next run removes before it does all of it again. Neither the
 * layout nor which of two equal candidates is kept depends on the number of tasks or on their
 * order.
 */
public final class IngestStage {
  private static final Logger LOG = LoggerFactory.getLogger(IngestStage.class);

  /** The files that a run of this stage leaves in pairs/ and rejects/. */
  private static final Pattern OWN_FILE =
      Pattern.compile("(\\d{5,}-)?(train|validation)-\\d{5,}\\.parquet");

  private final JavaSparkContext spark;
  private final Settings settings;
  private final DatasetFolder folder;
  private final PortableConfiguration configuration;

  private IngestStage(JavaSparkContext spark, Settings settings) {
    this.spark = spark;
    this.settings = settings;
    this.folder =
        new DatasetFolder(
            Settings.required(settings.dataset(), "dataset"), spark.hadoopConfiguration());
    this.configuration = new PortableConfiguration(spark.hadoopConfiguration());
  }

  /**
   * Adds what is new in the sources to the dataset, which is made when there is none.
   *
   * @throws SettingsException when a source is missing or empty, or the dataset was made with other
   *     settings
   * @throws IOException when the dataset is being written by another job, or a file system fails
   */
  public static IngestResult run(JavaSparkContext spark, Settings settings) throws IOException {
    return new IngestStage(spark, settings).run();
  }

  private IngestResult run() throws IOException {
    if (settings.ingest().sources().isEmpty()) {
      throw new SettingsException(
          "Cannot ingest anything because kklip.ingest.sources is empty. Set it to a list of { format = ..., path = ... }.");
    }
    List<Unit> files = new ArrayList<>();
    for (int i = 0; i < settings.ingest().sources().size(); i++) {
      files.addAll(SourceFiles.of(folder.configuration(), i, settings.ingest().sources().get(i)));
    }
    try (Lease lease =
        Lease.acquire(folder.configuration(), folder.root(), "ingest", settings.leaseExpiry())) {
      return ingest(files, lease);
    }
  }

  private IngestResult ingest(List<Unit> files, Lease lease) throws IOException {
    ProcessingSettings processing = Screening.processing(settings.ingest());
    Optional<DatasetManifest> found = folder.readManifest();
    DatasetManifest older =
        found.orElseGet(() -> new DatasetManifest(DatasetManifest.FORMAT, processing, List.of()));
    processing.requireSame(older.settings(), "the dataset " + folder.root());
    removeUnnamed(older);

    List<String> units = plan(files);
    int[] sources = units.stream().mapToInt(unit -> Unit.decode(unit).source()).toArray();
    Broadcast<KnownIds> known = spark.broadcast(knownIds(older));
    long shuffleSeed = Seeds.derive(settings.seed(), "ingest", older.generations().size());
    JavaPairRDD<String, byte[]> candidates =
        candidates(units, known, shuffleSeed).persist(StorageLevel.DISK_ONLY());
    JavaRDD<String> facts =
        candidates
            .map(keyed -> Tally.fact(keyed._1, Candidate.decode(keyed._2), sources))
            .persist(StorageLevel.MEMORY_AND_DISK());
    try {
      Tally tally = Tally.of(facts);
      refuseEmptySources(tally);
      JavaRDD<String> rows =
          facts
              .filter(Tally::isRow)
              .map(Tally::rowKey)
              .distinct()
              .sortBy(key -> key, true, spark.defaultParallelism());
      Layout layout = layout(rows);
      IngestResult result = tally.result(layout.rows(), folder.root().toString());
      if (layout.hasShards() || found.isEmpty()) {
        List<Generation> generations = new ArrayList<>(older.generations());
        generations.add(write(candidates, layout, older, result));
        lease.check();
        Json.write(
            folder.configuration(),
            folder.manifest(),
            new DatasetManifest(DatasetManifest.FORMAT, processing, generations));
      }
      report(result);
      return result;
    } finally {
      facts.unpersist();
      candidates.unpersist();
      known.destroy();
    }
  }

  private List<String> plan(List<Unit> files) {
    PortableConfiguration hadoop = configuration;
    Settings given = settings;
    return spark
        .parallelize(files.stream().map(Unit::encode).toList(), slices(files.size()))
        .flatMap(
            text -> {
              Unit file = Unit.decode(text);
              return reader(given, file).plan(hadoop.get(), file).stream()
                  .map(Unit::encode)
                  .iterator();
            })
        .collect();
  }

  private static SourceReader reader(Settings settings, Unit unit) {
    return SourceReader.of(settings.ingest().sources().get(unit.source()), settings);
  }

  private int slices(int pieces) {
    // Small tasks even out; more than this only costs the scheduler.
    return Math.max(1, Math.min(pieces, 32 * spark.defaultParallelism()));
  }

  private KnownIds knownIds(DatasetManifest older) {
    List<String> paths =
        older.shards().stream().map(shard -> folder.pairs(shard).toString()).toList();
    PortableConfiguration hadoop = configuration;
    return new KnownIds(
        paths.isEmpty()
            ? List.of()
            : spark
                .parallelize(paths, slices(paths.size()))
                .map(path -> KnownIds.pack(ids(hadoop.get(), path)))
                .collect());
  }

  private static List<String> ids(Configuration configuration, String path) throws IOException {
    List<String> ids = new ArrayList<>();
    try (PairReader reader =
        PairReader.open(configuration, new Path(path), PairReader.Columns.IDS)) {
      for (int group = 0; group < reader.rowGroups(); group++) {
        reader.readGroup(group).forEach(pair -> ids.add(pair.id()));
      }
    }
    return ids;
  }

  /** Every candidate under its sort key and order. */
  private JavaPairRDD<String, byte[]> candidates(
      List<String> units, Broadcast<KnownIds> known, long shuffleSeed) {
    PortableConfiguration hadoop = configuration;
    Settings given = settings;
    return spark
        .parallelize(units, slices(units.size()))
        .zipWithIndex()
        .flatMapToPair(
            numbered -> {
              Unit unit = Unit.decode(numbered._1);
              Members members = reader(given, unit).open(hadoop.get(), unit);
              TaskContext.get()
                  .addTaskCompletionListener(
                      (TaskCompletionListener) context -> close(members, unit));
              return new CandidateIterator(
                  members,
                  new Screening(given.ingest(), known.value()::contains),
                  unit,
                  numbered._2,
                  given.ingest().validationFraction(),
                  shuffleSeed);
            });
  }

  private static void close(Members members, Unit unit) {
    try {
      members.close();
    } catch (IOException e) {
      LOG.warn("Cannot close {}", unit.path(), e);
    }
  }

  private void refuseEmptySources(Tally tally) {
    for (int i = 0; i < settings.ingest().sources().size(); i++) {
      if (tally.isEmpty(i)) {
        throw SourceFiles.refused(
            i, settings.ingest().sources().get(i), "it is empty: it holds nothing to look at");
      }
    }
  }

  private Layout layout(JavaRDD<String> rows) {
    Map<String, Long> counts = rows.map(key -> key.substring(0, 1)).countByValue();
    long train = counts.getOrDefault(Layout.prefix(Split.TRAIN), 0L);
    long validation = counts.getOrDefault(Layout.prefix(Split.VALIDATION), 0L);
    long[] starts = Layout.starts(train, validation, settings.ingest().shardRows());
    List<String> firstKeys =
        rows.zipWithIndex()
            .filter(numbered -> Arrays.binarySearch(starts, numbered._2) >= 0)
            .keys()
            .collect();
    return new Layout(train, validation, firstKeys);
  }

  private Generation write(
      JavaPairRDD<String, byte[]> candidates,
      Layout layout,
      DatasetManifest older,
      IngestResult result) {
    List<ShardTask> tasks = new ArrayList<>();
    List<Integer> indices = layout.indices(older.shards());
    for (int part = 0; part < layout.parts(); part++) {
      tasks.add(
          new ShardTask(
              configuration,
              folder.root().toString(),
              older.generations().size(),
              layout.split(part),
              layout.hasShards() ? indices.get(part) : 0,
              settings.ingest().rowGroupRows()));
    }
    List<ShardTask.Written> written =
        candidates
            .repartitionAndSortWithinPartitions(new ShardPartitioner(layout))
            .mapPartitionsWithIndex(
                (part, rows) -> List.of(Json.line(tasks.get(part).write(rows))).iterator(), false)
            .collect()
            .stream()
            .map(line -> Json.parse(line, ShardTask.Written.class))
            .toList();
    return new Generation(
        result.input(),
        result.pairs(),
        result.rejects(),
        result.ignored(),
        result.reasons(),
        written.stream().map(ShardTask.Written::shard).filter(shard -> shard.rows() > 0).toList(),
        written.stream()
            .map(ShardTask.Written::rejectFile)
            .filter(name -> !name.isEmpty())
            .toList());
  }

  /** Only names that this class gives, so that nothing of a person's is removed. */
  private void removeUnnamed(DatasetManifest manifest) throws IOException {
    Set<String> named = new HashSet<>();
    manifest.shards().forEach(shard -> named.add(shard.fileName()));
    manifest.generations().forEach(generation -> named.addAll(generation.rejectFiles()));
    for (Path subfolder : List.of(folder.pairs(), folder.rejects())) {
      Publication.sweep(folder.configuration(), subfolder);
      FileSystem fileSystem = Storage.of(folder.configuration(), subfolder);
      if (!fileSystem.exists(subfolder)) {
        continue;
      }
      for (FileStatus status : fileSystem.listStatus(subfolder)) {
        String name = status.getPath().getName();
        if (OWN_FILE.matcher(name).matches() && !named.contains(name)) {
          LOG.info("Removing {}, which an interrupted run left", status.getPath());
          fileSystem.delete(status.getPath(), false);
        }
      }
    }
  }

  private static void report(IngestResult result) {
    LOG.info(
        "{} candidates: {} new pairs, {} rejects {}, and {} archive members ignored",
        result.input(),
        result.pairs(),
        result.rejects(),
        result.reasons(),
        result.ignored());
    if (result.pairs() == 0) {
      LOG.warn("No new pairs: {} candidates, rejected for {}", result.input(), result.reasons());
    }
  }

  /** Sends each sort key to the task that writes its shard. */
  private static final class ShardPartitioner extends Partitioner {
    private static final long serialVersionUID = 1L;

    private final Layout layout;

    ShardPartitioner(Layout layout) {
      this.layout = layout;
    }

    @Override
    public int numPartitions() {
      return layout.parts();
    }

    @Override
    public int getPartition(Object key) {
      return layout.part((String) key);
    }
  }
}
