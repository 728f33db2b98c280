package io.github.kklip.ingest;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.IngestSettings;
import io.github.kklip.config.Role;
import io.github.kklip.config.Roles;
import io.github.kklip.config.Seeds;
import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.image.ImageDecoder;
import io.github.kklip.ingest.ShardTask.WrittenShard;
import io.github.kklip.ingest.Tally.Fact;
import io.github.kklip.ingest.sources.Members;
import io.github.kklip.ingest.sources.SourceFiles;
import io.github.kklip.ingest.sources.SourceFiles.SourceFile;
import io.github.kklip.ingest.sources.SourceFormats;
import io.github.kklip.ingest.sources.SourceReader;
import io.github.kklip.ingest.sources.Unit;
import io.github.kklip.progress.Progress;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.DatasetManifest.Generation;
import io.github.kklip.store.HashedPair;
import io.github.kklip.store.Identity;
import io.github.kklip.store.Pair;
import io.github.kklip.store.ProcessingSettings;
import io.github.kklip.store.Split;
import io.github.kklip.store.publication.Json;
import io.github.kklip.store.publication.PortableConfiguration;
import io.github.kklip.store.publication.Publication;
import io.github.kklip.store.publication.Storage;
import io.github.kklip.store.shards.HashedPairFormat;
import io.github.kklip.store.shards.PairFormat;
import io.github.kklip.store.shards.ShardReader;
import io.github.kklip.tasks.StageLease;
import io.github.kklip.tasks.TaskCounts;
import io.github.kklip.tasks.TaskProgress;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
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
import scala.Tuple2;

/**
 * Raw pairs to a dataset.
 *
 * <p>Sources are read, decoded and checked once; what comes out stays on the executors' disks. From
 * its ids alone the shards' boundaries are found ({@link Layout}); then every row travels once, to
 * the task that writes its shard. The manifest is written last: a run that was killed left files
 * that it does not name. The next run keeps those that are whole and of the same work, and does not
 * decode again what is in a {@link Journal}. Neither the layout nor which of two equal candidates
 * is kept depends on the number of tasks or on their order.
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
  private final Screening.Decoder decoder;

  private IngestStage(JavaSparkContext spark, Settings settings, Screening.Decoder decoder) {
    this.decoder = decoder;
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
    return run(spark, settings, ImageDecoder::decode);
  }

  static IngestResult run(JavaSparkContext spark, Settings settings, Screening.Decoder decoder)
      throws IOException {
    return new IngestStage(spark, settings, decoder).run();
  }

  /**
   * The sources to read.
   *
   * @throws SettingsException when there are none
   */
  public static List<IngestSettings.SourceSettings> requireSources(Settings settings) {
    if (settings.ingest().sources().isEmpty()) {
      throw new SettingsException(
          "Cannot ingest anything because kklip.ingest.sources is empty. Set it to a list of { format = ..., path = ... }.");
    }
    return settings.ingest().sources();
  }

  /**
   * Refuses to add to a dataset that was made with other settings.
   *
   * @throws SettingsException naming every setting that differs
   */
  public static void requireSame(Settings settings, DatasetFolder folder, DatasetManifest made) {
    processing(settings)
        .requireSame(made.settings(), "the dataset " + folder.root(), "another dataset folder");
  }

  /** The settings that decide what is a pair, and which split it goes to. */
  private static ProcessingSettings processing(Settings settings) {
    return new ProcessingSettings(Roles.identity(settings, Role.Output.DATASET, Map.of()));
  }

  private IngestResult run() throws IOException {
    List<IngestSettings.SourceSettings> sources = requireSources(settings);
    List<SourceFile> files = new ArrayList<>();
    for (int i = 0; i < sources.size(); i++) {
      files.addAll(SourceFiles.of(folder.configuration(), i, sources.get(i)));
    }
    try (StageLease lease =
        StageLease.acquire(
            spark, folder.configuration(), folder.root(), "ingest", settings.leaseExpiry())) {
      return ingest(files, lease);
    }
  }

  private IngestResult ingest(List<SourceFile> files, StageLease lease) throws IOException {
    ProcessingSettings processing = processing(settings);
    Optional<DatasetManifest> found = folder.readManifest();
    DatasetManifest older =
        found.orElseGet(() -> new DatasetManifest(DatasetManifest.FORMAT, processing, List.of()));
    requireSame(settings, folder, older);
    SeenFiles seen = SeenFiles.read(folder);
    refuseForeignShards(found, seen);
    List<SourceFile> fresh =
        files.stream().filter(file -> !seen.fingerprints().contains(file.fingerprint())).toList();
    if (fresh.isEmpty() && found.isPresent()) {
      LOG.info("Nothing new: all {} files of the sources are in {}", files.size(), folder.root());
      return IngestResult.nothing(folder.root().toString(), older.totals());
    }

    List<String> units = plan(fresh.stream().map(SourceFile::unit).toList());
    boolean goesOn = prepareWork(older, fresh, units);
    int[] sources = units.stream().mapToInt(unit -> Unit.decode(unit).source()).toArray();
    Broadcast<KnownIds> known = spark.broadcast(knownIds(older));
    long shuffleSeed = Seeds.derive(settings.seed(), "ingest", older.generations().size());
    TaskProgress reading =
        TaskProgress.begin(
            spark, Progress.of("ingest", "units").total(units.size()).items("candidates"));
    JavaPairRDD<String, byte[]> candidates =
        candidates(units, known, shuffleSeed, reading.counts()).persist(StorageLevel.DISK_ONLY());
    JavaRDD<Fact> facts =
        candidates
            .map(keyed -> Fact.of(keyed._1, Candidate.decode(keyed._2), sources))
            .persist(StorageLevel.MEMORY_AND_DISK());
    try (reading) {
      Broadcast<Set<String>> gone = spark.broadcast(nearDuplicates(facts, older));
      try {
        Tally tally = Tally.of(facts, gone);
        reading.done();
        refuseEmptySources(tally, fresh, goesOn);
        try (SortedRows rows =
            new SortedRows(
                facts.filter(fact -> fact.isRow() && !gone.value().contains(fact.imageId())),
                tally.rows(Split.TRAIN),
                tally.rows(Split.VALIDATION),
                slices(Integer.MAX_VALUE))) {
          IngestResult result =
              tally.result(
                  settings.ingest().sources(),
                  rows.bySource(),
                  folder.root().toString(),
                  older.totals());
          Layout layout = rows.layout(settings.ingest().shardRows());
          if (layout.hasShards() || found.isEmpty()) {
            List<ShardTask> tasks = tasks(layout, older);
            Map<Integer, WrittenShard> done =
                goesOn
                    ? done(rows.keys(), layout, tasks)
                    : Map.<Integer, ShardTask.WrittenShard>of();
            removeUnnamed(older, done.values());
            List<Generation> generations = new ArrayList<>(older.generations());
            generations.add(write(candidates, layout, tasks, done, gone, result));
            lease.check();
            DatasetManifest manifest =
                new DatasetManifest(DatasetManifest.FORMAT, processing, generations);
            Json.write(folder.configuration(), folder.manifest(), manifest);
            result = result.with(manifest.totals());
            DataCard.write(spark, folder, manifest);
          }
          List<String> fingerprints =
              fresh.stream()
                  .map(SourceFile::fingerprint)
                  .filter(print -> !print.isEmpty())
                  .toList();
          if (!fingerprints.isEmpty()) {
            seen.add(folder, fingerprints);
          }
          Storage.of(folder.configuration(), work()).delete(work(), true);
          report(result);
          return result;
        }
      } finally {
        gone.destroy();
      }
    } finally {
      facts.unpersist();
      candidates.unpersist();
      known.destroy();
    }
  }

  /** Where a run keeps what the next one goes on with when it is killed. */
  private Path work() {
    return new Path(folder.root(), ".ingest");
  }

  /**
   * Tells whether an interrupted run had the same work, so that its shards are good for this one.
   * What it found in images is good in any case.
   */
  private boolean prepareWork(DatasetManifest older, List<SourceFile> fresh, List<String> units)
      throws IOException {
    TreeMap<String, String> of = new TreeMap<>();
    of.put("settings", older.settings().digest());
    of.put("generation", Integer.toString(older.generations().size()));
    of.put("seed", Long.toString(settings.seed()));
    of.put("shards", settings.ingest().shardRows() + " " + settings.ingest().rowGroupRows());
    of.put("files", fresh.stream().map(SourceFile::fingerprint).toList().toString());
    of.put("units", units.toString());
    UnfinishedWork work = new UnfinishedWork(older.generations().size(), Identity.ofSettings(of));
    if (readWork().equals(Optional.of(work))) {
      LOG.info("Going on with an interrupted run");
      return true;
    }
    removeUnnamed(older, List.of());
    Json.write(folder.configuration(), workFile(), work);
    return false;
  }

  /**
   * What a run that is not done works on.
   *
   * @param generation that it adds
   */
  private record UnfinishedWork(int generation, String digest) {}

  private Path workFile() {
    return new Path(work(), "work.json");
  }

  private Optional<UnfinishedWork> readWork() throws IOException {
    return Json.readIfPresent(folder.configuration(), workFile(), UnfinishedWork.class);
  }

  /**
   * Files that the manifest does not name are removed when an unfinished run wrote them, which
   * {@link UnfinishedWork} proves: it is written before them and removed after the manifest. All
   * others may be a dataset whose manifest is lost or is an older one.
   */
  private void refuseForeignShards(Optional<DatasetManifest> manifest, SeenFiles seen)
      throws IOException {
    List<Path> unnamed =
        unnamed(named(manifest.map(DatasetManifest::generations).orElse(List.of())));
    int generation = manifest.map(m -> m.generations().size()).orElse(0);
    boolean lost = manifest.isEmpty() && seen.runs() > 0;
    boolean unfinished = readWork().filter(work -> work.generation == generation).isPresent();
    if (unnamed.isEmpty() || (unfinished && !lost)) {
      return;
    }
    throw new SettingsException(
        message(
            "Cannot ingest into %s because %s files (%s, the first is %s) that no unfinished run left and this run would remove. Nothing was changed. Put back the manifest.json that names them, or set dataset to another folder, or move them away.",
            folder.root(),
            manifest.isEmpty() ? "it has no manifest.json but" : "its manifest.json does not name",
            unnamed.size(),
            unnamed.get(0)));
  }

  private Set<String> nearDuplicates(JavaRDD<Fact> facts, DatasetManifest older) {
    int bits = settings.ingest().images().nearDuplicateBits();
    if (bits < 0) {
      return Set.of();
    }
    List<String> shards = shards(older);
    PortableConfiguration hadoop = configuration;
    return NearDuplicates.of(
        spark
            .parallelize(shards, slices(shards.size()))
            .flatMap(path -> inDataset(hadoop.get(), path))
            .union(
                facts
                    .filter(Fact::isRow)
                    .map(
                        fact -> new NearDuplicates.Seen(fact.order(), fact.imageId(), fact.hash())))
            .mapToPair(image -> new Tuple2<>(image.imageId(), image))
            .reduceByKey((left, right) -> left.order().compareTo(right.order()) < 0 ? left : right),
        bits);
  }

  /** The images of a shard, from their ids and perceptual hashes alone. */
  private static Iterator<NearDuplicates.Seen> inDataset(Configuration configuration, String path)
      throws IOException {
    List<NearDuplicates.Seen> images = new ArrayList<>();
    try (ShardReader<HashedPair> reader =
        ShardReader.open(configuration, new Path(path), HashedPairFormat.IDS)) {
      for (int group = 0; group < reader.rowGroups(); group++) {
        for (HashedPair row : reader.readGroup(group)) {
          images.add(NearDuplicates.Seen.inDataset(row.pair().imageId(), row.hash()));
        }
      }
    }
    return images.iterator();
  }

  private List<String> shards(DatasetManifest manifest) {
    return manifest.shards().stream().map(shard -> folder.pairs(shard).toString()).toList();
  }

  private List<String> plan(List<Unit> files) throws IOException {
    PortableConfiguration hadoop = configuration;
    Settings given = settings;
    if (files.size() == 1) {
      // A task of its own would look at it no faster.
      List<String> units = new ArrayList<>();
      for (Unit unit : reader(given, files.get(0)).plan(hadoop.get(), files.get(0))) {
        units.add(unit.encode());
      }
      return units;
    }
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
    return SourceFormats.reader(settings.ingest().sources().get(unit.source()), settings);
  }

  private int slices(int pieces) {
    // Small tasks even out; more than this only costs the scheduler.
    return Math.max(1, Math.min(pieces, 32 * spark.defaultParallelism()));
  }

  private KnownIds knownIds(DatasetManifest older) {
    List<String> paths = shards(older);
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
    try (ShardReader<Pair> reader =
        ShardReader.open(configuration, new Path(path), PairFormat.IDS)) {
      for (int group = 0; group < reader.rowGroups(); group++) {
        reader.readGroup(group).forEach(pair -> ids.add(pair.id()));
      }
    }
    return ids;
  }

  /** Every candidate under its sort key and order. */
  private JavaPairRDD<String, byte[]> candidates(
      List<String> units, Broadcast<KnownIds> known, long shuffleSeed, TaskCounts counts) {
    PortableConfiguration hadoop = configuration;
    Settings given = settings;
    Screening.Decoder images = decoder;
    String journals = work().toString();
    return spark
        .parallelize(
            IntStream.range(0, units.size())
                .mapToObj(number -> new Tuple2<>(number, units.get(number)))
                .toList(),
            slices(units.size()))
        .flatMapToPair(
            numbered -> {
              Unit unit = Unit.decode(numbered._2);
              Members members = reader(given, unit).open(hadoop.get(), unit);
              TaskContext.get()
                  .addTaskCompletionListener(
                      (TaskCompletionListener) context -> close(members, unit));
              return new CandidateIterator(
                  members,
                  counts,
                  new Screening(
                      given.ingest(),
                      given.ingest().sources().get(unit.source()).weight(),
                      known.value()::contains,
                      images,
                      new Journal(
                          hadoop.get(),
                          new Path(journals),
                          unit,
                          TaskContext.get().attemptNumber() > 0)),
                  unit,
                  numbered._1,
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

  private void refuseEmptySources(Tally tally, List<SourceFile> fresh, boolean goesOn)
      throws IOException {
    for (int i = 0; i < settings.ingest().sources().size(); i++) {
      int source = i;
      boolean read = fresh.stream().anyMatch(file -> file.unit().source() == source);
      if (read && tally.isEmpty(i)) {
        if (!goesOn) {
          // Nothing is left of a run that was refused.
          Storage.of(folder.configuration(), work()).delete(work(), true);
        }
        throw SourceFiles.refused(
            i, settings.ingest().sources().get(i), "it is empty: it holds nothing to look at");
      }
    }
  }

  private List<ShardTask> tasks(Layout layout, DatasetManifest older) {
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
              settings.ingest().rowGroupRows(),
              settings.ingest().images().nearDuplicateBits() >= 0));
    }
    return tasks;
  }

  /** The parts whose files an interrupted run has written already. */
  private Map<Integer, WrittenShard> done(
      JavaRDD<String> rows, Layout layout, List<ShardTask> tasks) {
    return rows
        .mapToPair(key -> new Tuple2<>(layout.part(key), key))
        .groupByKey(slices(tasks.size()))
        .mapToPair(keys -> new Tuple2<>(keys._1, Json.line(tasks.get(keys._1).written(keys._2))))
        .collectAsMap()
        .entrySet()
        .stream()
        .map(entry -> Map.entry(entry.getKey(), Json.parse(entry.getValue(), WrittenShard.class)))
        .filter(entry -> entry.getValue().shard().rows() > 0)
        .collect(Collectors.toMap(Map.Entry::getKey, Map.Entry::getValue));
  }

  /** Writes the shards that are not done; null for those that are. */
  private List<WrittenShard> write(
      JavaPairRDD<String, byte[]> candidates,
      Layout layout,
      List<ShardTask> tasks,
      Set<Integer> done,
      Broadcast<Set<String>> gone) {
    Set<Integer> doneParts = Set.copyOf(done);
    try (TaskProgress progress =
        TaskProgress.begin(
            spark, Progress.of("ingest", "shards").total(tasks.size()).items("rows"))) {
      progress.doneBefore(done.size());
      TaskCounts counts = progress.counts();
      List<String> lines =
          candidates
              .filter(keyed -> !doneParts.contains(layout.part(keyed._1)))
              .repartitionAndSortWithinPartitions(new ShardPartitioner(layout))
              .mapPartitionsWithIndex(
                  (part, rows) ->
                      List.of(
                              doneParts.contains(part)
                                  ? ""
                                  : write(tasks.get(part), rows, gone.value(), counts))
                          .iterator(),
                  false)
              .collect();
      progress.done();
      return lines.stream()
          .map(line -> line.isEmpty() ? null : Json.parse(line, WrittenShard.class))
          .toList();
    }
  }

  private static String write(
      ShardTask task, Iterator<Tuple2<String, byte[]>> rows, Set<String> gone, TaskCounts counts)
      throws IOException {
    Iterator<Tuple2<String, byte[]>> counted =
        new Iterator<>() {
          @Override
          public boolean hasNext() {
            return rows.hasNext();
          }

          @Override
          public Tuple2<String, byte[]> next() {
            Tuple2<String, byte[]> row = rows.next();
            counts.items(1, 0);
            return row;
          }
        };
    String written = Json.line(task.write(counted, gone));
    counts.done(1);
    return written;
  }

  private Generation write(
      JavaPairRDD<String, byte[]> candidates,
      Layout layout,
      List<ShardTask> tasks,
      Map<Integer, WrittenShard> done,
      Broadcast<Set<String>> gone,
      IngestResult result) {
    List<WrittenShard> made = write(candidates, layout, tasks, done.keySet(), gone);
    List<WrittenShard> written = new ArrayList<>();
    for (int part = 0; part < made.size(); part++) {
      written.add(done.getOrDefault(part, made.get(part)));
    }
    if (!done.isEmpty()) {
      LOG.info("{} of {} shards were there", done.size(), written.size());
    }
    return new Generation(
        result.input(),
        result.pairs(),
        result.rejects(),
        result.ignored(),
        result.reasons(),
        result.sources(),
        written.stream().map(WrittenShard::shard).filter(shard -> shard.rows() > 0).toList(),
        written.stream().map(WrittenShard::rejectFile).filter(name -> !name.isEmpty()).toList());
  }

  /** Only names that this class gives, so that nothing of a person's is removed. */
  private void removeUnnamed(DatasetManifest manifest, Collection<WrittenShard> done)
      throws IOException {
    Set<String> named = named(manifest.generations());
    done.forEach(
        written -> named.addAll(List.of(written.shard().fileName(), written.rejectFile())));
    for (Path subfolder : List.of(folder.pairs(), folder.rejects())) {
      Publication.sweep(folder.configuration(), subfolder);
    }
    for (Path file : unnamed(named)) {
      LOG.info("Removing {}, which an interrupted run left", file);
      Storage.of(folder.configuration(), file).delete(file, false);
    }
  }

  private static Set<String> named(List<Generation> generations) {
    Set<String> named = new HashSet<>();
    for (Generation generation : generations) {
      generation.shards().forEach(shard -> named.add(shard.fileName()));
      named.addAll(generation.rejectFiles());
    }
    return named;
  }

  /** Files of pairs and rejects that have names as this class gives, but none of these. */
  private List<Path> unnamed(Set<String> named) throws IOException {
    List<Path> unnamed = new ArrayList<>();
    for (Path subfolder : List.of(folder.pairs(), folder.rejects())) {
      FileSystem fileSystem = Storage.of(folder.configuration(), subfolder);
      if (!fileSystem.exists(subfolder)) {
        continue;
      }
      for (FileStatus status : fileSystem.listStatus(subfolder)) {
        String name = status.getPath().getName();
        if (status.isFile() && OWN_FILE.matcher(name).matches() && !named.contains(name)) {
          unnamed.add(status.getPath());
        }
      }
    }
    unnamed.sort(null);
    return unnamed;
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
