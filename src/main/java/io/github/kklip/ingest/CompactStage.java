package io.github.kklip.ingest;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.Seeds;
import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.ingest.ShardTask.WrittenShard;
import io.github.kklip.progress.Progress;
import io.github.kklip.store.ConceptManifest;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.DatasetManifest.Generation;
import io.github.kklip.store.DatasetManifest.SourceCounts;
import io.github.kklip.store.Manifests;
import io.github.kklip.store.Manifests.ConflictException;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Split;
import io.github.kklip.store.TeacherManifest;
import io.github.kklip.store.TokenizerManifest;
import io.github.kklip.store.publication.Json;
import io.github.kklip.store.publication.PortableConfiguration;
import io.github.kklip.store.shards.FollowingRows;
import io.github.kklip.store.shards.HashedPairFormat;
import io.github.kklip.store.shards.LabelFormat;
import io.github.kklip.store.shards.RowFormat;
import io.github.kklip.store.shards.VectorFormat;
import io.github.kklip.tasks.StageLease;
import io.github.kklip.tasks.TaskCounts;
import io.github.kklip.tasks.TaskProgress;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.hadoop.fs.Path;
import org.apache.spark.api.java.JavaSparkContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import scala.Tuple2;

/**
 * Makes full shards of the small ones of many runs of ingest: one generation takes the place of
 * all, in one commit. Rows are shuffled over all of it, as ingest does within a run; they and their
 * ids stay as they are. Embeddings and labels are carried along, not computed again. The replaced
 * files stay on the disk until {@code clean} deletes them, and runs of training that began with
 * them go on.
 */
public final class CompactStage {
  private static final Logger LOG = LoggerFactory.getLogger(CompactStage.class);

  private final JavaSparkContext spark;
  private final Settings settings;
  private final DatasetFolder folder;
  private final PortableConfiguration configuration;
  private final DatasetManifest older;
  private final StoredRows.Keys keys;

  private CompactStage(
      JavaSparkContext spark, Settings settings, DatasetFolder folder, DatasetManifest older) {
    this.spark = spark;
    this.settings = settings;
    this.folder = folder;
    this.configuration = new PortableConfiguration(folder.configuration());
    this.older = older;
    this.keys = new StoredRows.Keys(Seeds.derive(settings.seed(), "compact", older.layout() + 1));
  }

  /**
   * Compacts the dataset, unless its shards are full.
   *
   * @throws SettingsException when embeddings or labels do not cover all shards
   * @throws ConflictException when another job has changed the dataset meanwhile
   */
  public static CompactResult run(JavaSparkContext spark, Settings settings) throws IOException {
    return run(spark, settings, () -> {});
  }

  /**
   * @param written called before the commit
   */
  static CompactResult run(JavaSparkContext spark, Settings settings, Runnable written)
      throws IOException {
    DatasetFolder folder =
        new DatasetFolder(
            Settings.required(settings.dataset(), "dataset"), spark.hadoopConfiguration());
    folder.requireManifest();
    try (StageLease lease =
        StageLease.ofDataset(spark, folder, folder.root(), "compact", settings.leaseExpiry())) {
      DatasetManifest older = folder.requireManifest();
      requireWhole(folder, older);
      if (isCompact(older, settings.ingest().shardRows())) {
        LOG.info("The shards of {} are full: nothing to do", folder.root());
        DataCard.writeIfMissing(spark, folder, older);
        return result(folder, older, older);
      }
      DatasetManifest made = new CompactStage(spark, settings, folder, older).compact();
      written.run();
      lease.check();
      made = Manifests.replace(folder, older, made, "the compacted shards");
      DataCard.write(spark, folder, made);
      CompactResult result = result(folder, older, made);
      LOG.info(
          "{} shards in {} files became {} shards in {} files; the replaced files stay on the disk until `clean --yes` deletes them",
          result.shardsBefore(),
          result.filesBefore(),
          result.shards(),
          result.files());
      return result;
    }
  }

  /**
   * Refuses a dataset whose derived data does not cover all shards: what is missing could not be
   * told from what is there any more.
   */
  public static void requireWhole(DatasetFolder folder, DatasetManifest dataset) {
    dataset
        .teachers()
        .forEach(
            (name, teacher) ->
                requireWhole(
                    folder,
                    dataset,
                    "embeddings " + name,
                    teacher.files(),
                    "embed with teacher.name = " + name));
    dataset
        .concepts()
        .forEach(
            (name, labels) ->
                requireWhole(
                    folder,
                    dataset,
                    "concepts " + name,
                    labels.files(),
                    "cluster with concepts.name = " + name));
  }

  private static void requireWhole(
      DatasetFolder folder,
      DatasetManifest dataset,
      String what,
      SortedMap<String, String> files,
      String job) {
    List<String> missing =
        dataset.shards().stream()
            .filter(shard -> !files.containsKey(shard.identity()))
            .map(Shard::file)
            .toList();
    if (!missing.isEmpty()) {
      throw new SettingsException(
          message(
              "Cannot compact the dataset %s because the %s lack %s of its %s shards, the first is %s. Run the job %s first, which does what is missing.",
              folder.root(), what, missing.size(), dataset.shards().size(), missing.get(0), job));
    }
  }

  private static boolean isCompact(DatasetManifest dataset, int shardRows) {
    long[] starts =
        Layout.starts(dataset.rows(Split.TRAIN), dataset.rows(Split.VALIDATION), shardRows);
    String place = dataset.pairsFolder() + "/";
    return dataset.generations().size() <= 1
        && dataset.shards().size() == starts.length
        && dataset.shards().stream()
            .allMatch(shard -> shard.file().startsWith(place) && !shard.blocks().isEmpty());
  }

  private static CompactResult result(
      DatasetFolder folder, DatasetManifest older, DatasetManifest made) {
    return new CompactResult(
        folder.root().toString(),
        older.generations().size(),
        older.shards().size(),
        made.shards().size(),
        new HashSet<>(older.files()).size(),
        new HashSet<>(made.files()).size(),
        made.totals());
  }

  private DatasetManifest compact() throws IOException {
    Layout layout = layout();
    List<Shard> shards = pairs(layout);
    SortedMap<String, TeacherManifest> teachers = new TreeMap<>();
    for (Map.Entry<String, TeacherManifest> entry : older.teachers().entrySet()) {
      TeacherManifest teacher = entry.getValue();
      teachers.put(
          entry.getKey(),
          teacher.with(
              derived(
                  layout,
                  shards,
                  teacher.files(),
                  VectorFormat.AS_STORED,
                  new VectorFormat(teacher.storage(), teacher.dimension()),
                  teacher.settings().digest(),
                  new RowBytes.Vectors(),
                  folder.teacher(entry.getKey(), teacher.settings()))));
    }
    SortedMap<String, ConceptManifest> concepts = new TreeMap<>();
    for (Map.Entry<String, ConceptManifest> entry : older.concepts().entrySet()) {
      ConceptManifest labels = entry.getValue();
      concepts.put(
          entry.getKey(),
          labels.with(
              derived(
                  layout,
                  shards,
                  labels.files(),
                  new LabelFormat(),
                  new LabelFormat(),
                  labels.made(),
                  new RowBytes.Labels(),
                  folder.concepts(entry.getKey(), labels))));
    }
    return new DatasetManifest(
        DatasetManifest.FORMAT,
        older.number(),
        older.layout() + 1,
        older.settings(),
        List.of(generation(shards)),
        teachers,
        concepts,
        tokenizer(shards),
        older.removed());
  }

  private int slices() {
    return Math.max(1, older.shards().size());
  }

  private Layout layout() {
    PortableConfiguration hadoop = configuration;
    String root = folder.root().toString();
    StoredRows.Keys given = keys;
    try (SortedRows rows =
        new SortedRows(
            spark
                .parallelize(older.shards(), slices())
                .flatMap(
                    shard ->
                        StoredRows.facts(
                            new DatasetFolder(new Path(root), hadoop.get()), shard, given)),
            older.rows(Split.TRAIN),
            older.rows(Split.VALIDATION),
            slices())) {
      return rows.layout(settings.ingest().shardRows());
    }
  }

  private List<Shard> pairs(Layout layout) throws IOException {
    PortableConfiguration hadoop = configuration;
    String root = folder.root().toString();
    StoredRows.Keys given = keys;
    List<ShardTask> tasks = tasks(layout);
    try (TaskProgress progress =
        TaskProgress.begin(
            spark, Progress.of("compact", "shards").total(tasks.size()).items("rows"))) {
      TaskCounts counts = progress.counts();
      List<String> lines =
          spark
              .parallelize(older.shards(), slices())
              .flatMapToPair(
                  shard ->
                      StoredRows.pairs(
                          new DatasetFolder(new Path(root), hadoop.get()), shard, given))
              .repartitionAndSortWithinPartitions(new IngestStage.ShardPartitioner(layout))
              .mapPartitionsWithIndex(
                  (part, rows) -> {
                    WrittenShard written = tasks.get(part).write(rows, Set.of());
                    counts.items(written.shard().rows(), 0);
                    counts.done(1);
                    return List.of(Json.line(written)).iterator();
                  },
                  false)
              .collect();
      progress.done();
      return lines.stream()
          .map(line -> Json.parse(line, WrittenShard.class).shard())
          .filter(shard -> shard.rows() > 0)
          .toList();
    }
  }

  private List<ShardTask> tasks(Layout layout) throws IOException {
    boolean hashes =
        !older.shards().isEmpty()
            && HashedPairFormat.isIn(folder.configuration(), folder.pairs(older.shards().get(0)));
    List<Integer> indices = layout.indices(List.of());
    List<ShardTask> tasks = new ArrayList<>();
    for (int part = 0; part < layout.parts(); part++) {
      tasks.add(
          new ShardTask(
              configuration,
              folder.root().toString(),
              "pairs/" + (older.layout() + 1),
              0,
              layout.split(part),
              layout.hasShards() ? indices.get(part) : 0,
              settings.ingest().rowGroupRows(),
              hashes));
    }
    return tasks;
  }

  /** The files of embeddings or labels that follow the new shards, by their identities. */
  private <T> SortedMap<String, String> derived(
      Layout layout,
      List<Shard> shards,
      SortedMap<String, String> olderFiles,
      RowFormat<T> stored,
      RowFormat<T> format,
      String made,
      RowBytes<T> bytes,
      Path output) {
    PortableConfiguration hadoop = configuration;
    String root = folder.root().toString();
    String target = output.toString();
    StoredRows.Keys given = keys;
    SortedMap<String, String> files = new TreeMap<>();
    if (shards.isEmpty()) {
      return files;
    }
    spark
        .parallelize(older.shards(), slices())
        .flatMapToPair(
            shard ->
                StoredRows.derived(
                    new DatasetFolder(new Path(root), hadoop.get()),
                    shard,
                    olderFiles.get(shard.identity()),
                    stored,
                    made,
                    bytes,
                    given))
        .partitionBy(new IngestStage.ShardPartitioner(layout))
        .mapPartitionsWithIndex(
            (part, rows) -> {
              DatasetFolder dataset = new DatasetFolder(new Path(root), hadoop.get());
              Map<String, T> byId = new HashMap<>();
              while (rows.hasNext()) {
                Tuple2<String, byte[]> row = rows.next();
                String id = Layout.id(row._1);
                byId.put(id, bytes.read(id, row._2));
              }
              Shard shard = shards.get(part);
              Path file =
                  FollowingRows.write(
                      dataset.configuration(),
                      new Path(target, shard.fileName()),
                      format,
                      shard,
                      dataset.pairs(shard),
                      made,
                      byId);
              return List.of(new Tuple2<>(shard.identity(), dataset.inside(file))).iterator();
            },
            false)
        .collect()
        .forEach(file -> files.put(file._1, file._2));
    return files;
  }

  /** All generations as one. */
  private Generation generation(List<Shard> shards) {
    DatasetManifest.Totals totals = older.totals();
    List<String> rejectFiles = new ArrayList<>();
    List<String> seenFiles = new ArrayList<>();
    Map<List<Object>, SourceCounts> sources = new LinkedHashMap<>();
    for (Generation generation : older.generations()) {
      rejectFiles.addAll(generation.rejectFiles());
      seenFiles.addAll(generation.seenFiles());
      for (SourceCounts source : generation.sources()) {
        sources.merge(
            List.of(source.format(), source.path(), source.weight()), source, CompactStage::sum);
      }
    }
    return new Generation(
        totals.input(),
        totals.pairs(),
        totals.rejects(),
        totals.ignored(),
        totals.reasons(),
        List.copyOf(sources.values()),
        shards,
        rejectFiles.stream().distinct().toList(),
        seenFiles.stream().distinct().toList());
  }

  private static SourceCounts sum(SourceCounts a, SourceCounts b) {
    return new SourceCounts(
        a.format(),
        a.path(),
        a.weight(),
        a.input() + b.input(),
        a.pairs() + b.pairs(),
        a.rejects() + b.rejects(),
        a.ignored() + b.ignored());
  }

  /** It stays; where it was trained on all training rows, these are in the new shards now. */
  private TokenizerManifest tokenizer(List<Shard> shards) {
    TokenizerManifest made = older.tokenizer();
    Set<String> all = new HashSet<>();
    older.shards(Split.TRAIN).forEach(shard -> all.add(shard.identity()));
    return made == null || !new HashSet<>(made.shards()).containsAll(all)
        ? made
        : made.with(
            shards.stream()
                .filter(shard -> shard.split() == Split.TRAIN)
                .map(Shard::identity)
                .toList());
  }
}
