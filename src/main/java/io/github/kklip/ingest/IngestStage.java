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
import io.github.kklip.ingest.sources.Problem;
import io.github.kklip.ingest.sources.RowSamples;
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
import io.github.kklip.store.ManifestFiles;
import io.github.kklip.store.Manifests;
import io.github.kklip.store.Manifests.ConflictException;
import io.github.kklip.store.ProcessingSettings;
import io.github.kklip.store.Reject;
import io.github.kklip.store.Takedowns;
import io.github.kklip.store.publication.Json;
import io.github.kklip.store.publication.PortableConfiguration;
import io.github.kklip.store.publication.Storage;
import io.github.kklip.store.shards.HashedPairFormat;
import io.github.kklip.store.shards.ShardReader;
import io.github.kklip.tasks.StageLease;
import io.github.kklip.tasks.TaskCounts;
import io.github.kklip.tasks.TaskProgress;
import java.io.IOException;
import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.spark.Partitioner;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
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
 * the task that writes its shard. The manifest comes last: a run that was killed left files that it
 * does not name. The next run takes those that are whole and of the same work ({@link WorkFolder}),
 * and does not decode again what is in a {@link Journal}. Neither the layout nor which of two equal
 * candidates is kept depends on the number of tasks or on their order.
 */
public final class IngestStage {
  private static final Logger LOG = LoggerFactory.getLogger(IngestStage.class);

  private final JavaSparkContext spark;
  private final Settings settings;
  private final DatasetFolder folder;
  private final PortableConfiguration configuration;
  private final Screening.Decoder decoder;
  private final Supplier<SparkSession> session;

  private IngestStage(
      JavaSparkContext spark,
      Supplier<SparkSession> session,
      Settings settings,
      Screening.Decoder decoder) {
    this.decoder = decoder;
    this.spark = spark;
    this.session = session;
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
  public static IngestResult run(SparkSession session, Settings settings) throws IOException {
    return new IngestStage(
            JavaSparkContext.fromSparkContext(session.sparkContext()),
            () -> session,
            settings,
            ImageDecoder::decode)
        .run();
  }

  /** As {@link #run(SparkSession, Settings)}; tables are those of the context's first session. */
  public static IngestResult run(JavaSparkContext spark, Settings settings) throws IOException {
    return run(spark, settings, ImageDecoder::decode);
  }

  static IngestResult run(JavaSparkContext spark, Settings settings, Screening.Decoder decoder)
      throws IOException {
    return new IngestStage(
            spark,
            () -> SparkSession.builder().sparkContext(spark.sc()).getOrCreate(),
            settings,
            decoder)
        .run();
  }

  /**
   * Refuses tables of the session's catalog that are not there, or have not the columns that are
   * needed, without reading them.
   *
   * @throws SettingsException naming what is missing
   */
  public static void requireTables(SparkSession session, Settings settings) {
    List<TableSource> unused = tables(() -> session, settings.ingest().sources());
  }

  /** Whether a source is a table of the session's catalog. */
  public static boolean readsTables(Settings settings) {
    return settings.ingest().sources().stream().anyMatch(IngestStage::isTable);
  }

  private static List<TableSource> tables(
      Supplier<SparkSession> session, List<IngestSettings.SourceSettings> sources) {
    List<TableSource> tables = new ArrayList<>();
    for (int i = 0; i < sources.size(); i++) {
      if (isTable(sources.get(i))) {
        tables.add(TableSource.open(session.get(), i, sources.get(i)));
      }
    }
    return tables;
  }

  private static boolean isTable(IngestSettings.SourceSettings source) {
    return source.format() == IngestSettings.SourceFormat.SPARK;
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
    List<TableSource> tables = tables(session, sources);
    List<SourceFile> files = new ArrayList<>();
    for (int i = 0; i < sources.size(); i++) {
      if (!isTable(sources.get(i))) {
        files.addAll(SourceFiles.of(folder.configuration(), i, sources.get(i)));
      }
    }
    for (TableSource table : tables) {
      files.addAll(table.files());
    }
    try (StageLease lease =
        StageLease.ofDataset(spark, folder, folder.root(), "ingest", settings.leaseExpiry())) {
      return ingest(files, tables, lease);
    }
  }

  private IngestResult ingest(List<SourceFile> files, List<TableSource> tables, StageLease lease)
      throws IOException {
    ProcessingSettings processing = processing(settings);
    Optional<DatasetManifest> found = folder.readManifest();
    DatasetManifest older = found.orElseGet(() -> DatasetManifest.empty(processing));
    requireSame(settings, folder, older);
    if (found.isEmpty()) {
      refuseForeignShards();
    }
    Set<String> seen = SeenFiles.read(folder, older);
    List<SourceFile> fresh =
        files.stream().filter(file -> !seen.contains(file.fingerprint())).toList();
    if (fresh.isEmpty() && found.isPresent()) {
      LOG.info("Nothing new: all {} files of the sources are in {}", files.size(), folder.root());
      DataCard.writeIfMissing(spark, folder, older);
      return IngestResult.nothing(folder.root().toString(), older.totals());
    }

    Map<Integer, JavaRDD<Row>> rowsOfTables = new TreeMap<>();
    for (TableSource table : tables) {
      List<SourceFile> wanted = ofSource(fresh, table.index());
      if (!wanted.isEmpty()) {
        rowsOfTables.put(table.index(), table.rows(ofSource(files, table.index()), wanted));
      }
    }
    List<String> units = plan(fresh, tables, rowsOfTables);
    WorkFolder work =
        WorkFolder.begin(folder, digest(older, fresh, units), older.generations().size());
    int[] sources = units.stream().mapToInt(unit -> Unit.decode(unit).source()).toArray();
    KnownRows rowsBefore = knownRows(older);
    Broadcast<KnownRows> known = spark.broadcast(rowsBefore);
    Broadcast<KnownIds> removed =
        spark.broadcast(
            new KnownIds(List.of(KnownIds.pack(new ArrayList<>(Takedowns.read(folder, older))))));
    long shuffleSeed = Seeds.derive(settings.seed(), "ingest", older.generations().size());
    TaskProgress reading =
        TaskProgress.begin(
            spark, Progress.of("ingest", "units").total(units.size()).items("candidates"));
    JavaPairRDD<String, byte[]> candidates =
        candidates(
                units,
                rowsOfTables,
                new UnitScreening(
                    settings,
                    known,
                    removed,
                    decoder,
                    configuration,
                    work,
                    reading.counts(),
                    shuffleSeed))
            .persist(StorageLevel.DISK_ONLY());
    JavaRDD<Fact> facts =
        candidates
            .map(keyed -> Fact.of(keyed._1, Candidate.decode(keyed._2), sources))
            .persist(StorageLevel.MEMORY_AND_DISK());
    try (reading) {
      Broadcast<Exclusions> exclusions =
          spark.broadcast(
              new Exclusions(conflicts(facts, older, rowsBefore), nearDuplicates(facts, older)));
      try {
        Tally tally = Tally.of(facts, exclusions);
        reading.done();
        refuseEmptySources(tally, fresh, work);
        Optional<SettingsException> unreadable = sourceWithoutRows(tally, candidates, files, fresh);
        if (unreadable.isPresent() && tally.isOnly(Problem.SCHEMA)) {
          // No source gave anything else: nothing is left of a run that was refused.
          work.remove();
          throw unreadable.get();
        }
        try (SortedRows rows =
            new SortedRows(
                facts.filter(fact -> fact.isRow(exclusions.value())),
                tally::rows,
                slices(Integer.MAX_VALUE))) {
          IngestResult result =
              tally.result(
                  settings.ingest().sources(),
                  rows.bySource(),
                  folder.root().toString(),
                  older.totals());
          Layout layout = rows.layout(settings.ingest().shardRows());
          List<WrittenShard> written =
              write(
                  candidates,
                  layout,
                  tasks(layout, older),
                  parts(facts, layout, exclusions),
                  exclusions,
                  work);
          Generation generation = generation(result, written, readToTheirEnds(facts, units, fresh));
          lease.check();
          DatasetManifest manifest = commit(older, generation, exclusions, lease);
          result = result.with(manifest.totals());
          DataCard.write(spark, folder, manifest);
          work.remove();
          report(result, tally.joinedLines());
          if (unreadable.isPresent()) {
            throw unreadable.get();
          }
          return result;
        }
      } finally {
        exclusions.destroy();
      }
    } finally {
      facts.unpersist();
      candidates.unpersist();
      known.destroy();
      removed.destroy();
    }
  }

  /** Unless the dataset has other pairs by now. */
  private DatasetManifest commit(
      DatasetManifest older,
      Generation generation,
      Broadcast<Exclusions> exclusions,
      StageLease lease)
      throws IOException {
    return Manifests.commit(
        folder,
        older,
        newest -> {
          if (newest.layout() != older.layout()
              || !newest.settings().equals(older.settings())
              || !newest.generations().equals(older.generations())
              || !newest.removed().equals(older.removed())) {
            throw new ConflictException(
                folder.root(), "the new pairs", "another job has changed its pairs");
          }
          if (!exclusions.value().conflicts().leaving()) {
            return newest.with(generation);
          }
          // By the newest: what is derived from the shards may have come meanwhile.
          DatasetManifest left = LosingRows.without(spark, settings, folder, newest, exclusions);
          lease.check();
          return left.with(generation);
        });
  }

  /** What decides the files that a run writes. */
  private String digest(DatasetManifest older, List<SourceFile> fresh, List<String> units) {
    TreeMap<String, String> of = new TreeMap<>();
    of.put("settings", older.settings().digest());
    of.put("generation", Integer.toString(older.generations().size()));
    of.put("layout", Integer.toString(older.layout()));
    of.put("seed", Long.toString(settings.seed()));
    of.put("shards", settings.ingest().shardRows() + " " + settings.ingest().rowGroupRows());
    of.put(
        "splits",
        settings.ingest().sources().stream().map(source -> source.split()).toList().toString());
    of.put("files", fresh.stream().map(SourceFile::fingerprint).toList().toString());
    of.put("units", units.toString());
    of.put("removed", older.removed().toString());
    return Identity.ofSettings(of);
  }

  /**
   * The fingerprints of the files that need no second look: those in which nothing was missing or
   * unreadable, which the next time may be there, and which had the columns that are needed.
   */
  private List<String> readToTheirEnds(
      JavaRDD<Fact> facts, List<String> units, List<SourceFile> fresh) {
    Set<Unit> again =
        facts
            .filter(
                fact ->
                    Problem.isOfTheMoment(fact.reason()) || fact.reason().equals(Problem.SCHEMA))
            .map(fact -> CandidateIterator.unit(fact.key()))
            .distinct()
            .collect()
            .stream()
            .map(number -> Unit.decode(units.get(number)))
            .map(unit -> Unit.whole(unit.source(), unit.path()))
            .collect(Collectors.toSet());
    return fresh.stream()
        .filter(file -> !file.fingerprint().isEmpty() && !again.contains(asked(file.unit())))
        .map(SourceFile::fingerprint)
        .toList();
  }

  /** A unit of a table may have rows of any of its files: they are one for what is read again. */
  private Unit asked(Unit file) {
    IngestSettings.SourceSettings source = settings.ingest().sources().get(file.source());
    return isTable(source) ? Unit.whole(file.source(), source.name()) : file;
  }

  /**
   * Files of pairs without a manifest may be a dataset whose manifest is lost; those of an
   * unfinished run are known by its {@link WorkFolder}.
   */
  private void refuseForeignShards() throws IOException {
    if (WorkFolder.isFirstUnfinished(folder)) {
      return;
    }
    for (Path subfolder : List.of(folder.pairs(), folder.rejects())) {
      if (Storage.of(folder.configuration(), subfolder).exists(subfolder)) {
        List<FileStatus> files = Storage.files(folder.configuration(), subfolder);
        if (!files.isEmpty()) {
          throw new SettingsException(
              message(
                  "Cannot ingest into %s because it has no manifest but %s files in %s that no unfinished run left, the first is %s. Nothing was changed. Put back the folder %s that names them, or set dataset to another folder, or move them away.",
                  folder.root(),
                  files.size(),
                  subfolder,
                  files.get(0).getPath().getName(),
                  ManifestFiles.FOLDER));
        }
      }
    }
  }

  /**
   * Images of several splits. Where no source has ever said which, there are none: an image has one
   * hash.
   */
  private SplitConflicts conflicts(
      JavaRDD<Fact> facts, DatasetManifest older, KnownRows rowsBefore) {
    boolean set =
        settings.ingest().sources().stream()
            .anyMatch(source -> source.split() != IngestSettings.SourceSplit.AUTO);
    if (!set && !rowsBefore.bySources()) {
      return SplitConflicts.NONE;
    }
    PortableConfiguration hadoop = configuration;
    String root = folder.root().toString();
    return SplitConflicts.of(
        spark
            .parallelize(older.shards(), slices(older.shards().size()))
            .flatMapToPair(
                shard ->
                    SplitConflicts.areThere(new DatasetFolder(new Path(root), hadoop.get()), shard))
            .union(
                facts
                    .filter(Fact::isRow)
                    .mapToPair(
                        fact ->
                            new Tuple2<>(fact.imageId(), SplitConflicts.comesIn(fact.split())))));
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
            .union(facts.filter(Fact::isRow).map(NearDuplicates.Seen::of))
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
          images.add(NearDuplicates.Seen.staying(row.pair().imageId(), row.hash()));
        }
      }
    }
    return images.iterator();
  }

  private List<String> shards(DatasetManifest manifest) {
    return manifest.shards().stream().map(shard -> folder.pairs(shard).toString()).toList();
  }

  private static List<SourceFile> ofSource(List<SourceFile> files, int source) {
    return files.stream().filter(file -> file.unit().source() == source).toList();
  }

  /** The units of all sources, in the order of the sources. */
  private List<String> plan(
      List<SourceFile> fresh, List<TableSource> tables, Map<Integer, JavaRDD<Row>> rowsOfTables)
      throws IOException {
    List<Unit> units = new ArrayList<>();
    for (String unit :
        plan(
            fresh.stream()
                .map(SourceFile::unit)
                .filter(unit -> !rowsOfTables.containsKey(unit.source()))
                .toList())) {
      units.add(Unit.decode(unit));
    }
    for (TableSource table : tables) {
      if (rowsOfTables.containsKey(table.index())) {
        units.addAll(table.units(rowsOfTables.get(table.index()).getNumPartitions()));
      }
    }
    return units.stream().sorted(Comparator.comparingInt(Unit::source)).map(Unit::encode).toList();
  }

  private List<String> plan(List<Unit> files) throws IOException {
    if (files.isEmpty()) {
      return List.of();
    }
    PortableConfiguration hadoop = configuration;
    Settings given = settings;
    if (files.size() == 1) {
      // A task of its own would look at it no faster.
      List<String> units = new ArrayList<>();
      for (Unit unit : reader(given, files.get(0), hadoop.get()).plan(hadoop.get(), files.get(0))) {
        units.add(unit.encode());
      }
      return units;
    }
    return spark
        .parallelize(files.stream().map(Unit::encode).toList(), slices(files.size()))
        .flatMap(
            text -> {
              Unit file = Unit.decode(text);
              return reader(given, file, hadoop.get()).plan(hadoop.get(), file).stream()
                  .map(Unit::encode)
                  .iterator();
            })
        .collect();
  }

  private static SourceReader reader(Settings settings, Unit unit, Configuration configuration)
      throws IOException {
    IngestSettings.SourceSettings source = settings.ingest().sources().get(unit.source());
    SourceFiles.requireReadableNames(configuration, source);
    return SourceFormats.reader(unit, source, settings);
  }

  private int slices(int pieces) {
    // Small tasks even out; more than this only costs the scheduler.
    return Math.max(1, Math.min(pieces, 32 * spark.defaultParallelism()));
  }

  private KnownRows knownRows(DatasetManifest older) {
    PortableConfiguration hadoop = configuration;
    String root = folder.root().toString();
    double fraction = settings.ingest().validationFraction();
    return new KnownRows(
        older.shards().isEmpty()
            ? List.of()
            : spark
                .parallelize(older.shards(), slices(older.shards().size()))
                .map(
                    shard ->
                        KnownRows.OfShard.read(
                            new DatasetFolder(new Path(root), hadoop.get()), shard, fraction))
                .collect());
  }

  /** Every candidate under its sort key and order. */
  private JavaPairRDD<String, byte[]> candidates(
      List<String> units, Map<Integer, JavaRDD<Row>> rowsOfTables, UnitScreening screening) {
    PortableConfiguration hadoop = configuration;
    Settings given = settings;
    List<Tuple2<Integer, String>> ofFiles = new ArrayList<>();
    Map<Integer, Integer> firstOfTable = new HashMap<>();
    for (int number = 0; number < units.size(); number++) {
      int source = Unit.decode(units.get(number)).source();
      if (rowsOfTables.containsKey(source)) {
        firstOfTable.putIfAbsent(source, number);
      } else {
        ofFiles.add(new Tuple2<>(number, units.get(number)));
      }
    }
    JavaPairRDD<String, byte[]> candidates =
        spark
            .parallelize(ofFiles, slices(ofFiles.size()))
            .flatMapToPair(
                numbered -> {
                  Unit unit = Unit.decode(numbered._2);
                  return screening.of(
                      reader(given, unit, hadoop.get()).open(hadoop.get(), unit),
                      unit,
                      numbered._1);
                });
    for (Map.Entry<Integer, JavaRDD<Row>> table : rowsOfTables.entrySet()) {
      int first = firstOfTable.getOrDefault(table.getKey(), 0);
      IngestSettings.SourceSettings source = given.ingest().sources().get(table.getKey());
      candidates =
          candidates.union(
              JavaPairRDD.fromJavaRDD(
                  table
                      .getValue()
                      .mapPartitionsWithIndex(
                          (part, rows) -> {
                            Unit unit = Unit.decode(units.get(first + part));
                            RowSamples samples =
                                RowSamples.ofTable(
                                    hadoop.get(), source, given.ingest().images().maxBytes());
                            return screening.of(
                                TableSource.members(rows, part, samples), unit, first + part);
                          },
                          false)));
    }
    return candidates;
  }

  private void refuseEmptySources(Tally tally, List<SourceFile> fresh, WorkFolder work)
      throws IOException {
    for (int i = 0; i < settings.ingest().sources().size(); i++) {
      int source = i;
      boolean read = fresh.stream().anyMatch(file -> file.unit().source() == source);
      if (read && tally.isEmpty(i)) {
        // Nothing is left of a run that was refused.
        work.remove();
        throw SourceFiles.refused(
            i, settings.ingest().sources().get(i), "it is empty: it holds nothing to look at");
      }
    }
  }

  /**
   * The error for the first source of which no file has the columns or fields that are needed: the
   * other sources are read, and their pairs committed, before it is thrown.
   */
  private Optional<SettingsException> sourceWithoutRows(
      Tally tally,
      JavaPairRDD<String, byte[]> candidates,
      List<SourceFile> files,
      List<SourceFile> fresh) {
    Set<SourceFile> read = Set.copyOf(fresh);
    for (int i = 0; i < settings.ingest().sources().size(); i++) {
      int source = i;
      boolean whole =
          files.stream().filter(file -> file.unit().source() == source).allMatch(read::contains);
      if (whole && tally.isOnly(i, Problem.SCHEMA)) {
        IngestSettings.SourceSettings given = settings.ingest().sources().get(i);
        // Rejects of a table of the catalog are named by the table.
        Set<String> paths =
            Stream.concat(
                    files.stream()
                        .map(SourceFile::unit)
                        .filter(unit -> unit.source() == source)
                        .map(Unit::path),
                    Stream.of(given.name()))
                .collect(Collectors.toSet());
        Reject first =
            candidates
                .map(keyed -> Candidate.decode(keyed._2))
                .filter(
                    candidate ->
                        candidate instanceof Candidate.Rejected rejected
                            && rejected.reject().reason().equals(Problem.SCHEMA)
                            && paths.contains(rejected.reject().source()))
                .map(candidate -> ((Candidate.Rejected) candidate).reject())
                .first();
        return Optional.of(
            SourceFiles.refused(
                i,
                given,
                message("no row of it can be read: of %s %s", first.source(), first.detail())));
      }
    }
    return Optional.empty();
  }

  private List<ShardTask> tasks(Layout layout, DatasetManifest older) {
    List<ShardTask> tasks = new ArrayList<>();
    List<Integer> indices = layout.indices(older.shards());
    for (int part = 0; part < layout.parts(); part++) {
      tasks.add(
          new ShardTask(
              configuration,
              folder.root().toString(),
              older.pairsFolder(),
              older.generations().size(),
              layout.split(part),
              layout.hasShards() ? indices.get(part) : 0,
              settings.ingest().rowGroupRows(),
              settings.ingest().images().nearDuplicateBits() >= 0));
    }
    return tasks;
  }

  /** For each part a digest of its candidates and of what becomes of them. */
  private Map<Integer, String> parts(
      JavaRDD<Fact> facts, Layout layout, Broadcast<Exclusions> exclusions) {
    return facts
        .mapToPair(fact -> new Tuple2<>(layout.part(fact.key()), fact.line(exclusions.value())))
        .groupByKey(slices(layout.parts()))
        .mapValues(
            lines -> {
              List<String> sorted = new ArrayList<>();
              lines.forEach(sorted::add);
              sorted.sort(null);
              return Identity.ofBytes(String.join("\n", sorted).getBytes(StandardCharsets.UTF_8));
            })
        .collectAsMap();
  }

  /** What an interrupted run has written of the same candidates; its bytes are read and checked. */
  private Map<Integer, WrittenShard> done(Map<Integer, String> parts, WorkFolder work) {
    PortableConfiguration hadoop = configuration;
    String root = folder.root().toString();
    Map<Integer, WrittenShard> done = new TreeMap<>();
    spark
        .parallelize(
            parts.entrySet().stream()
                .map(part -> new Tuple2<>(part.getKey(), part.getValue()))
                .toList(),
            slices(parts.size()))
        .mapToPair(
            part -> {
              Optional<WrittenShard> before = work.written(part._1, part._2);
              boolean whole =
                  before.isPresent()
                      && before.get().isWhole(new DatasetFolder(new Path(root), hadoop.get()));
              return new Tuple2<>(part._1, whole ? Json.line(before.get()) : "");
            })
        .filter(part -> !part._2.isEmpty())
        .collect()
        .forEach(part -> done.put(part._1, Json.parse(part._2, WrittenShard.class)));
    return done;
  }

  /** Writes the shards that no interrupted run has written of the same candidates. */
  private List<WrittenShard> write(
      JavaPairRDD<String, byte[]> candidates,
      Layout layout,
      List<ShardTask> tasks,
      Map<Integer, String> parts,
      Broadcast<Exclusions> exclusions,
      WorkFolder work)
      throws IOException {
    Map<Integer, WrittenShard> done = work.isResumed() ? done(parts, work) : Map.of();
    if (!done.isEmpty()) {
      LOG.info("{} of {} shards were there", done.size(), tasks.size());
    }
    Set<Integer> doneParts = new HashSet<>(done.keySet());
    List<String> lines;
    try (TaskProgress progress =
        TaskProgress.begin(
            spark, Progress.of("ingest", "shards").total(tasks.size()).items("rows"))) {
      progress.doneBefore(done.size());
      TaskCounts counts = progress.counts();
      lines =
          candidates
              .filter(keyed -> !doneParts.contains(layout.part(keyed._1)))
              .repartitionAndSortWithinPartitions(new ShardPartitioner(layout))
              .mapPartitionsWithIndex(
                  (part, rows) -> {
                    if (doneParts.contains(part)) {
                      return List.of("").iterator();
                    }
                    WrittenShard written = write(tasks.get(part), rows, exclusions.value(), counts);
                    if (parts.containsKey(part)) {
                      work.note(part, parts.get(part), written);
                    }
                    return List.of(Json.line(written)).iterator();
                  },
                  false)
              .collect();
      progress.done();
    }
    List<WrittenShard> written = new ArrayList<>();
    for (int part = 0; part < lines.size(); part++) {
      written.add(
          done.containsKey(part)
              ? done.get(part)
              : Json.parse(lines.get(part), WrittenShard.class));
    }
    return written;
  }

  private static WrittenShard write(
      ShardTask task,
      Iterator<Tuple2<String, byte[]>> rows,
      Exclusions exclusions,
      TaskCounts counts)
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
    WrittenShard written = task.write(counted, exclusions);
    counts.done(1);
    return written;
  }

  private Generation generation(
      IngestResult result, List<WrittenShard> written, List<String> fingerprints)
      throws IOException {
    return new Generation(
        result.input(),
        result.pairs(),
        result.rejects(),
        result.ignored(),
        result.reasons(),
        result.sources(),
        written.stream().map(WrittenShard::shard).filter(shard -> shard.rows() > 0).toList(),
        written.stream().map(WrittenShard::rejectFile).filter(name -> !name.isEmpty()).toList(),
        SeenFiles.write(folder, fingerprints));
  }

  private static void report(IngestResult result, long joinedLines) {
    LOG.info(
        "{} candidates: {} new pairs, {} rejects {}, and {} archive members ignored {}",
        result.input(),
        result.pairs(),
        result.rejects(),
        result.reasons(),
        result.ignored(),
        result.ignoredKinds());
    if (result.leftOut() > 0) {
      LOG.warn(
          "{} rows of earlier runs are no longer part of the dataset because their images came in with a split that wins (test over validation, validation over train). They count as rejects of those runs; trainings that have begun keep them.",
          result.leftOut());
    }
    if (joinedLines > 0) {
      LOG.warn(
          "{} captions are texts of several lines. Set captions = lines for their source where each line is a caption, else captions = whole",
          joinedLines);
    }
    if (result.pairs() == 0) {
      LOG.warn("No new pairs: {} candidates, rejected for {}", result.input(), result.reasons());
    }
  }

  /**
   * What a task needs to make candidates of the members of a unit.
   *
   * @param known ids of the pairs that the dataset has
   * @param removed ids of what was taken down
   */
  private record UnitScreening(
      Settings settings,
      Broadcast<KnownRows> known,
      Broadcast<KnownIds> removed,
      Screening.Decoder decoder,
      PortableConfiguration configuration,
      WorkFolder work,
      TaskCounts counts,
      long shuffleSeed)
      implements Serializable {
    /** The candidates of a unit, by its number. */
    Iterator<Tuple2<String, byte[]>> of(Members members, Unit unit, int number) throws IOException {
      TaskContext.get()
          .addTaskCompletionListener((TaskCompletionListener) context -> close(members, unit));
      IngestSettings.SourceSettings source = settings.ingest().sources().get(unit.source());
      SplitRule splits = new SplitRule(source.split(), settings.ingest().validationFraction());
      return new CandidateIterator(
          members,
          counts,
          new Screening(
              settings.ingest(),
              source.weight(),
              splits,
              known.value()::split,
              removed.value()::contains,
              decoder,
              new Journal(configuration.get(), work, unit, TaskContext.get().attemptNumber() > 0)),
          unit,
          number,
          splits,
          shuffleSeed);
    }

    private static void close(Members members, Unit unit) {
      try {
        members.close();
      } catch (IOException e) {
        LOG.warn("Cannot close {}", unit.path(), e);
      }
    }
  }

  /** Sends each sort key to the task that writes its shard. */
  static final class ShardPartitioner extends Partitioner {
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
