package io.github.kklip.faults;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.comms.SoloCollective;
import io.github.kklip.concept.ConceptStage;
import io.github.kklip.concept.StoredCentroids;
import io.github.kklip.config.Settings;
import io.github.kklip.embed.EmbedStage;
import io.github.kklip.ingest.CompactStage;
import io.github.kklip.ingest.IngestStage;
import io.github.kklip.ingest.SeenFingerprints;
import io.github.kklip.ingest.sources.Png;
import io.github.kklip.ingest.sources.SyntheticWorld;
import io.github.kklip.store.ConceptManifest;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.Identity;
import io.github.kklip.store.Label;
import io.github.kklip.store.Pair;
import io.github.kklip.store.Reject;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Takedowns;
import io.github.kklip.store.TeacherManifest;
import io.github.kklip.store.Vector;
import io.github.kklip.store.publication.Json;
import io.github.kklip.store.shards.LabelFormat;
import io.github.kklip.store.shards.PairFormat;
import io.github.kklip.store.shards.RejectFormat;
import io.github.kklip.store.shards.RowFormat;
import io.github.kklip.store.shards.ShardReader;
import io.github.kklip.store.shards.VectorFormat;
import io.github.kklip.teacher.RandomLlama;
import io.github.kklip.tensor.TestDevice;
import io.github.kklip.text.StudentTokenizer;
import io.github.kklip.tokenize.TokenizerStage;
import io.github.kklip.train.Rank;
import io.github.kklip.train.TrainProgress;
import io.github.kklip.train.Trainer;
import io.github.kklip.train.checkpoint.Checkpoint;
import io.github.kklip.train.checkpoint.CheckpointStore;
import io.github.kklip.train.plan.TrainPlan;
import io.github.kklip.upkeep.CleanStage;
import io.github.kklip.upkeep.RemoveStage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.parquet.example.data.Group;
import org.apache.parquet.example.data.simple.SimpleGroup;
import org.apache.parquet.hadoop.ParquetFileWriter;
import org.apache.parquet.hadoop.ParquetWriter;
import org.apache.parquet.hadoop.example.ExampleParquetWriter;
import org.apache.parquet.io.LocalOutputFile;
import org.apache.parquet.io.api.Binary;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.MessageTypeParser;
import org.apache.spark.api.java.JavaSparkContext;

/** All stages from sources to a trained student on 40 pairs in a {@link FaultStore}. */
final class Pipeline {
  /** Of the sources. */
  static final String SOURCES = "/in";

  /** A place of operations: two folders, so that {@code /data/pairs} is one. */
  private static final Pattern PLACE = Pattern.compile("/[^/.]+/[^/.]+(?=/|$)");

  /** Of a run that is to lose its lease; no other run may, on a machine however busy. */
  static final Duration SHORT_EXPIRY = Duration.ofMillis(100);

  static final Duration EXPIRY = Duration.ofMinutes(2);

  /** Of the clients of HDFS; a shard of this pipeline is smaller. */
  private static final int BUFFER = 64 << 10;

  /** Pairs of the first two sources, of which so many are in the archive, and of all sources. */
  private static final int FIRST = 30;

  private static final int FIRST_ARCHIVE = 25;
  private static final int SECOND_ARCHIVE = 35;
  private static final int ALL = 40;
  private static final int TORN_EVERY = 10;

  enum Stage {
    INGEST,
    INGEST_AGAIN,
    INGEST_REJECTS,
    TOKENIZER,
    EMBED,
    CLUSTER,
    CLUSTER_AGAIN,
    TRAIN,
    REMOVE,
    COMPACT,
    CLEAN
  }

  private static final String STUDENT =
      """
        {"model_type": "clip", "projection_dim": 8,
         "text_config": {"vocab_size": 540, "max_position_embeddings": 24, "hidden_size": 16,
           "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
           "bos_token_id": 538, "eos_token_id": 539, "pad_token_id": 539},
         "vision_config": {"image_size": 16, "patch_size": 8, "hidden_size": 16,
           "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}}
        """;

  private final FaultStore store;
  private final JavaSparkContext spark;
  private final Path local;

  /** When the sources were changed last: their fingerprints are the same whenever they come. */
  private final long made = System.currentTimeMillis();

  private MessageDigest rows = Identity.sha256();

  /** Members of the archives that were read back. */
  private List<String> found = new ArrayList<>();

  private final Map<Stage, Step> steps = new EnumMap<>(Stage.class);

  private Result atOnce;

  /** The images that REMOVE takes down. */
  private SortedSet<String> takedown = new TreeSet<>();

  /** Their captions by the ids of the rows, which are rejects then. */
  private Map<String, String> gone = Map.of();

  /**
   * What is there before a stage, and what an undisturbed run of it makes of that.
   *
   * @param before of the stage
   * @param left by the stages before
   * @param stays files that are there before and after, with the same content
   * @param operations of the stage
   * @param places and how many of the operations are on files under each of them
   */
  record Step(
      FaultStore.Snapshot before,
      Result left,
      Result after,
      NavigableMap<String, String> stays,
      FaultStore.Snapshot snapshot,
      long operations,
      NavigableMap<String, Long> places) {}

  /**
   * All that the newest manifest and the newest checkpoint name, with the manifest itself.
   *
   * @param members of the archives that became pairs, rejects or takedowns
   */
  record Result(String manifest, NavigableMap<String, String> files, List<String> members) {}

  /**
   * A pipeline whose first sources are there.
   *
   * @param local for the teacher and the student's shape, which other pipelines may share
   */
  Pipeline(FaultStore store, JavaSparkContext spark, Path local) throws IOException {
    this.store = store;
    this.spark = spark;
    this.local = local;
    if (!Files.exists(local.resolve("llama"))) {
      RandomLlama.write(local.resolve("llama"), 5, List.of("red", "green", "circle"), 32, 1);
      Files.writeString(local.resolve("student.json"), STUDENT);
    }
    store.buffer(BUFFER);
    store.uncounted("lease of ");
    store.write("/data/notes.txt", new byte[] {1});
    source("archives/0.tar", archive(0, FIRST_ARCHIVE));
    source("tables/0.parquet", table(FIRST_ARCHIVE, FIRST));
  }

  private void source(String name, byte[] bytes) {
    store.write(SOURCES + "/" + name, bytes, made);
  }

  /** The sources of the second ingest come. */
  void moreSources() throws IOException {
    source("archives/1.tar", archive(FIRST, SECOND_ARCHIVE));
    source("tables/1.parquet", table(SECOND_ARCHIVE, ALL));
  }

  /** What one ingest makes of the sources of two. */
  Result ingestedAtOnce() throws IOException {
    if (atOnce == null) {
      store.restore(step(Stage.INGEST).before());
      moreSources();
      run(Stage.INGEST, "undisturbed");
      atOnce = result();
      assertThat(atOnce.members()).isEqualTo(members());
    }
    return atOnce;
  }

  FaultStore store() {
    return store;
  }

  /** Runs the stages up to this one without faults, unless that was done. */
  Step step(Stage stage) throws IOException {
    FaultStore.Snapshot before = store.snapshot();
    for (Stage each : Stage.values()) {
      if (each.compareTo(stage) <= 0 && !steps.containsKey(each)) {
        store.restore(before);
        steps.put(each, undisturbed(each));
      }
      before = steps.containsKey(each) ? steps.get(each).snapshot() : before;
    }
    return steps.get(stage);
  }

  private Step undisturbed(Stage stage) throws IOException {
    switch (stage) {
      case INGEST_AGAIN -> {
        moreSources();
        for (String foreign :
            List.of("pairs/1", "rejects", "teachers/llama", "concepts/concepts")) {
          store.write("/data/" + foreign + "/train-00000-foreign.parquet", new byte[] {2});
        }
        store.write("/run/checkpoints/step-000000001.abcdefab/model.safetensors", new byte[] {3});
      }
      case INGEST_REJECTS -> source("archives/2.tar", archive(ALL, ALL));
      case REMOVE -> chooseTakedown();
      case CLEAN -> store.age(Duration.ofDays(2));
      default -> {
        // It works on what the stages before have left.
      }
    }
    FaultStore.Snapshot before = store.snapshot();
    NavigableMap<String, String> stays = store.files();
    store.startCounting();
    Result left = result();
    store.startCounting();
    run(stage, "undisturbed");
    long operations = store.operations("undisturbed");
    NavigableMap<String, Long> places = places("undisturbed");
    NavigableMap<String, String> now = store.files();
    stays.entrySet().removeIf(file -> !file.getValue().equals(now.get(file.getKey())));
    Result after = result();
    assertThat(after.members()).as(stage + ": members of the archives").isEqualTo(members());
    return new Step(before, left, after, stays, store.snapshot(), operations, places);
  }

  private NavigableMap<String, Long> places(String client) {
    NavigableMap<String, Long> places = new TreeMap<>();
    for (OperationEvent event : store.log()) {
      Matcher place = PLACE.matcher(event.path());
      if (event.client().equals(client) && place.lookingAt()) {
        places.merge(place.group(), 1L, Long::sum);
      }
    }
    return places;
  }

  private void chooseTakedown() throws IOException {
    DatasetFolder dataset = dataset();
    List<Pair> pairs = new ArrayList<>();
    for (Shard shard : dataset.requireManifest().shards()) {
      try (ShardReader<Pair> reader =
          ShardReader.open(dataset.configuration(), dataset.pairs(shard), PairFormat.CAPTIONS)) {
        for (int group = 0; group < reader.rowGroups(); group++) {
          pairs.addAll(reader.readGroup(group));
        }
      }
    }
    String image = pairs.get(0).imageId();
    takedown = new TreeSet<>(List.of(image));
    pairs.removeIf(pair -> !pair.imageId().equals(image));
    gone = pairs.stream().collect(Collectors.toMap(Pair::id, Pair::caption));
  }

  /** The members of all sources that are there, each once. */
  private List<String> members() {
    List<String> members = new ArrayList<>();
    NavigableMap<String, String> files = store.files();
    int pairs = files.containsKey(SOURCES + "/archives/1.tar") ? ALL : FIRST;
    for (int i = 0; i < pairs; i++) {
      members.add(caption(i));
      if (i % TORN_EVERY == 0 && !isInTable(i)) {
        members.add("torn" + i + ".png");
        members.add("bare" + i + ".png");
      }
    }
    if (files.containsKey(SOURCES + "/archives/2.tar")) {
      members.add("alone.png");
    }
    members.sort(null);
    return members;
  }

  private static boolean isInTable(int i) {
    return i >= SECOND_ARCHIVE || (i >= FIRST_ARCHIVE && i < FIRST);
  }

  private static byte[] image(int i) {
    return Png.encode(SyntheticWorld.draw(SyntheticWorld.scene(9, i), 24), 24, 24);
  }

  /** A Parquet file whose every row is a row group. */
  private byte[] table(int from, int to) throws IOException {
    Path file = Files.createTempFile(local, "table", ".parquet");
    MessageType schema =
        MessageTypeParser.parseMessageType(
            "message m { required binary image; required binary caption (UTF8); }");
    try (ParquetWriter<Group> writer =
        ExampleParquetWriter.builder(new LocalOutputFile(file))
            .withConf(new Configuration(false))
            .withType(schema)
            .withRowGroupSize(1L)
            .withMinRowCountForPageSizeCheck(1)
            .withMaxRowCountForPageSizeCheck(1)
            .withWriteMode(ParquetFileWriter.Mode.OVERWRITE)
            .build()) {
      for (int i = from; i < to; i++) {
        writer.write(
            new SimpleGroup(schema)
                .append("image", Binary.fromConstantByteArray(image(i)))
                .append("caption", caption(i)));
      }
    }
    return Files.readAllBytes(file);
  }

  /**
   * Images with captions; for each ten of them there are two more candidates, which are rejects.
   * Without images there is one candidate, which is a reject.
   */
  private static byte[] archive(int from, int to) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (TarArchiveOutputStream tar = new TarArchiveOutputStream(bytes)) {
      for (int i = from; i < to; i++) {
        byte[] image = image(i);
        member(tar, i + ".png", image);
        member(tar, i + ".txt", text(i));
        if (i % TORN_EVERY == 0) {
          member(tar, "torn" + i + ".png", Arrays.copyOf(image, image.length / 2));
          member(tar, "torn" + i + ".txt", text(i));
          member(tar, "bare" + i + ".png", image);
        }
      }
      if (from == to) {
        member(tar, "alone.png", new byte[] {1});
      }
    }
    return bytes.toByteArray();
  }

  private static byte[] text(int i) {
    return caption(i).getBytes(StandardCharsets.UTF_8);
  }

  private static String caption(int i) {
    String colour = List.of("red", "green", "blue", "yellow").get(i % 4);
    return "a " + colour + " circle and the square number " + i;
  }

  private static void member(TarArchiveOutputStream tar, String name, byte[] bytes)
      throws IOException {
    TarArchiveEntry entry = new TarArchiveEntry(name);
    entry.setSize(bytes.length);
    tar.putArchiveEntry(entry);
    tar.write(bytes);
    tar.closeArchiveEntry();
  }

  /** Runs one stage as a client of its own. */
  void run(Stage stage, String client) throws IOException {
    run(stage, client, EXPIRY);
  }

  /**
   * The same.
   *
   * @param expiry of its lease
   */
  void run(Stage stage, String client, Duration expiry) throws IOException {
    Configuration configuration = store.configuration(client);
    JavaSparkContext context =
        new JavaSparkContext(spark.sc()) {
          @Override
          public Configuration hadoopConfiguration() {
            return configuration;
          }
        };
    Settings settings = settings(stage, expiry);
    switch (stage) {
      case INGEST, INGEST_AGAIN, INGEST_REJECTS -> IngestStage.run(context, settings);
      case TOKENIZER -> TokenizerStage.run(context, settings);
      case EMBED -> EmbedStage.run(context, settings);
      case CLUSTER, CLUSTER_AGAIN -> ConceptStage.run(context, settings);
      case TRAIN ->
          Trainer.run(
              TrainPlan.of(settings, configuration),
              new Rank(new SoloCollective(), TestDevice.get(), 1),
              configuration,
              TrainProgress.SILENT,
              () -> false);
      case REMOVE -> RemoveStage.run(context, settings, takedown);
      case COMPACT -> CompactStage.run(context, settings);
      case CLEAN ->
          CleanStage.run(
              settings, configuration, new CleanStage.Request(true, Optional.empty(), false));
    }
  }

  private Settings settings(Stage stage, Duration expiry) {
    boolean again = stage.compareTo(Stage.CLUSTER) > 0;
    return Settings.load(
        List.of(),
        new ArrayList<>(
            List.of(
                "dataset=" + store.path("data"),
                "lease-expiry=" + expiry.toMillis() + " milliseconds",
                "ingest.sources=[{format=webdataset, path=\"%s\"}, {format=parquet, path=\"%s\"}]"
                    .formatted(store.path("in/archives"), store.path("in/tables")),
                "ingest.shard-rows=20",
                "ingest.row-group-rows=8",
                "ingest.validation-fraction=0.2",
                "tokenizer.vocab-size=540",
                "teacher.path=" + local.resolve("llama"),
                "concepts.k=" + (again ? 6 : 5),
                "concepts.target-perplexity=2",
                "concepts.recluster=" + again,
                "concepts.iterations=3",
                "student.config=" + local.resolve("student.json"),
                "train.output=" + store.path("run"),
                "train.batch=8",
                "train.steps=4",
                "train.checkpoint.every-steps=2",
                "train.checkpoint.keep=1",
                "train.step-timeout=1 minute",
                "clean.older-than=1 day")));
  }

  /** All rows of all files that the newest manifest names, as their readers give them. */
  String content() throws IOException {
    rows = Identity.sha256();
    DatasetFolder dataset = dataset();
    DatasetManifest manifest = dataset.requireManifest();
    result(manifest);
    add(Takedowns.read(dataset, manifest).toString());
    add(SeenFingerprints.read(dataset, manifest).toString());
    for (ConceptManifest labels : manifest.concepts().values()) {
      add(Arrays.toString(StoredCentroids.read(dataset, labels)));
    }
    if (manifest.tokenizer() != null) {
      try (StudentTokenizer tokenizer =
          StudentTokenizer.load(
              dataset.requireTokenizer(manifest).toString(), dataset.configuration())) {
        add(tokenizer.vocabSize() + " " + Arrays.toString(tokenizer.encode("a red circle", 24)));
      }
    }
    add(new String(Json.pretty(manifest), StandardCharsets.UTF_8));
    return HexFormat.of().formatHex(rows.digest());
  }

  private void add(String text) {
    rows.update(text.getBytes(StandardCharsets.UTF_8));
  }

  private static String text(Object row) {
    if (row instanceof Pair pair) {
      return pair.id()
          + pair.imageId()
          + pair.caption()
          + Identity.ofBytes(pair.image())
          + pair.width()
          + " "
          + pair.height()
          + pair.source();
    }
    if (row instanceof Vector vector) {
      return vector.id() + Arrays.toString(vector.values());
    }
    if (row instanceof Label label) {
      return label.id() + Arrays.toString(label.concepts()) + Arrays.toString(label.weights());
    }
    return row.toString();
  }

  private DatasetFolder dataset() {
    return new DatasetFolder(store.path("data"), store.configuration("reader"));
  }

  /** Reads every row of every file that the newest manifest names. */
  Result result() throws IOException {
    Result empty = new Result("", new TreeMap<>(), List.of());
    DatasetManifest manifest = dataset().readManifest().orElse(null);
    return manifest == null ? empty : result(manifest);
  }

  private Result result(DatasetManifest manifest) throws IOException {
    DatasetFolder dataset = dataset();
    Configuration configuration = dataset.configuration();
    found = new ArrayList<>();
    for (Shard shard : manifest.shards()) {
      read(ShardReader.open(configuration, dataset.pairs(shard), PairFormat.ALL), shard.rows());
      for (TeacherManifest teacher : manifest.teachers().values()) {
        String file = teacher.files().get(shard.identity());
        if (file != null) {
          derived(dataset, file, VectorFormat.AS_STORED, shard, teacher.settings().digest());
        }
      }
      for (ConceptManifest labels : manifest.concepts().values()) {
        String file = labels.files().get(shard.identity());
        if (file != null) {
          derived(dataset, file, new LabelFormat(), shard, labels.made());
        }
      }
    }
    for (DatasetManifest.Generation generation : manifest.generations()) {
      long rejects = 0;
      for (String file : generation.rejectFiles()) {
        rejects +=
            read(ShardReader.open(configuration, dataset.file(file), new RejectFormat()), -1);
      }
      if (rejects != generation.rejects()) {
        throw new IOException(rejects + " rejects instead of " + generation.rejects());
      }
    }
    for (ConceptManifest labels : manifest.concepts().values()) {
      String digest = Identity.ofBytes(store.read("/data/" + labels.centroidsFile()));
      SortedMap<String, String> of = new TreeMap<>(labels.settings().values());
      of.put("centroids", digest);
      if (!labels.made().equals(Identity.ofSettings(of))) {
        throw new IOException("The labels are not of the centroids " + labels.centroidsFile());
      }
    }
    found.sort(null);
    NavigableMap<String, String> there = store.files();
    NavigableMap<String, String> files = new TreeMap<>();
    for (String file : manifest.files()) {
      if (there.get("/data/" + file) == null) {
        throw new IOException("There is no " + file + ", which the manifest names");
      }
      files.put(file, there.get("/data/" + file));
    }
    checkpoint(files);
    return new Result(new String(Json.pretty(manifest), StandardCharsets.UTF_8), files, found);
  }

  private void checkpoint(Map<String, String> files) throws IOException {
    if (CheckpointStore.newestStep(store.path("run").toString(), dataset().configuration()) < 0) {
      return;
    }
    try (Checkpoint newest =
        CheckpointStore.newest(store.path("run").toString(), dataset().configuration())) {
      files.put("step", Long.toString(newest.state().step()));
      for (String name : List.of(Checkpoint.MODEL, Checkpoint.HEADS)) {
        files.put(name, Identity.ofBytes(Files.readAllBytes(newest.folder().resolve(name))));
      }
    }
  }

  private void derived(
      DatasetFolder dataset, String file, RowFormat<?> format, Shard shard, String made)
      throws IOException {
    read(
        ShardReader.open(dataset.configuration(), dataset.file(file), format, shard, made),
        shard.rows());
  }

  private long read(ShardReader<?> opened, long rows) throws IOException {
    try (ShardReader<?> reader = opened) {
      long count = 0;
      for (int group = 0; group < reader.rowGroups(); group++) {
        for (Object row : reader.readGroup(group)) {
          add(text(row));
          if (row instanceof Pair pair) {
            found.add(pair.caption());
          } else if (row instanceof Reject reject) {
            found.add(gone.getOrDefault(reject.key(), reject.key()));
          }
          count++;
        }
      }
      if (rows >= 0 && rows != count) {
        throw new IOException(count + " rows instead of " + rows);
      }
      return count;
    }
  }
}
