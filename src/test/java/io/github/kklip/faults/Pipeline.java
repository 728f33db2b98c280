package io.github.kklip.faults;

import io.github.kklip.comms.SoloCollective;
import io.github.kklip.concept.ConceptStage;
import io.github.kklip.config.Settings;
import io.github.kklip.embed.EmbedStage;
import io.github.kklip.ingest.IngestStage;
import io.github.kklip.ingest.sources.Png;
import io.github.kklip.ingest.sources.SyntheticWorld;
import io.github.kklip.store.ConceptManifest;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.Identity;
import io.github.kklip.store.Label;
import io.github.kklip.store.Pair;
import io.github.kklip.store.Shard;
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
import java.util.TreeMap;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.api.java.JavaSparkContext;

/** All stages from archives to a trained student on 40 pairs in a {@link FaultStore}. */
final class Pipeline {
  static final Duration EXPIRY = Duration.ofMillis(300);

  enum Stage {
    INGEST,
    INGEST_AGAIN,
    TOKENIZER,
    EMBED,
    CLUSTER,
    CLUSTER_AGAIN,
    TRAIN
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
  private MessageDigest rows = Identity.sha256();

  /** What is there before a stage, and what it makes of that. */
  record Step(FaultStore.Snapshot before, String content, Result after, long operations) {}

  /** All that the newest manifest and the newest checkpoint name, with the manifest itself. */
  record Result(String manifest, NavigableMap<String, String> files) {}

  Pipeline(FaultStore store, JavaSparkContext spark, Path local) throws IOException {
    this.store = store;
    this.spark = spark;
    this.local = local;
    RandomLlama.write(local.resolve("llama"), 5, List.of("red", "green", "circle"), 32, 1);
    Files.writeString(local.resolve("student.json"), STUDENT);
  }

  /** Runs all stages without faults. */
  Map<Stage, Step> undisturbed() throws IOException {
    Map<Stage, Step> steps = new EnumMap<>(Stage.class);
    store.write("/data/notes.txt", new byte[] {1});
    store.write("/in/0.tar", archive(0, 30));
    for (Stage stage : Stage.values()) {
      if (stage == Stage.INGEST_AGAIN) {
        store.write("/in/1.tar", archive(30, 40));
        for (String foreign :
            List.of("pairs/1", "rejects", "teachers/llama", "concepts/concepts")) {
          store.write("/data/" + foreign + "/train-00000-foreign.parquet", new byte[] {2});
        }
        store.write("/run/checkpoints/step-000000001.abcdefab/model.safetensors", new byte[] {3});
      }
      FaultStore.Snapshot before = store.snapshot();
      store.startCounting();
      String content = stage == Stage.INGEST ? "" : content();
      store.startCounting();
      run(stage, "undisturbed");
      long operations = store.operations("undisturbed");
      steps.put(stage, new Step(before, content, result(), operations));
    }
    return steps;
  }

  /** Images with captions; two of ten candidates are rejects. */
  private static byte[] archive(int from, int to) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (TarArchiveOutputStream tar = new TarArchiveOutputStream(bytes)) {
      for (int i = from; i < to; i++) {
        byte[] rgb = SyntheticWorld.draw(SyntheticWorld.scene(9, i), 24);
        byte[] image = Png.encode(rgb, 24, 24);
        member(tar, i + ".png", image);
        member(tar, i + ".txt", text(i));
        if (i % 10 == 0) {
          member(tar, "torn" + i + ".png", Arrays.copyOf(image, image.length / 2));
          member(tar, "torn" + i + ".txt", text(i));
          member(tar, "bare" + i + ".png", image);
        }
      }
    }
    return bytes.toByteArray();
  }

  private static byte[] text(int i) {
    String colour = List.of("red", "green", "blue", "yellow").get(i % 4);
    return ("a " + colour + " circle and the square number " + i).getBytes(StandardCharsets.UTF_8);
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
    Configuration configuration = store.configuration(client);
    JavaSparkContext context =
        new JavaSparkContext(spark.sc()) {
          @Override
          public Configuration hadoopConfiguration() {
            return configuration;
          }
        };
    Settings settings = settings(stage);
    switch (stage) {
      case INGEST, INGEST_AGAIN -> IngestStage.run(context, settings);
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
    }
  }

  private Settings settings(Stage stage) {
    boolean again = stage == Stage.CLUSTER_AGAIN;
    return Settings.load(
        List.of(),
        new ArrayList<>(
            List.of(
                "dataset=" + store.path("data"),
                "lease-expiry=" + EXPIRY.toMillis() + " milliseconds",
                "ingest.sources=[{format=webdataset, path=\"" + store.path("in") + "\"}]",
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
                "train.step-timeout=1 minute")));
  }

  /** All rows of all files that the newest manifest names, as their readers give them. */
  String content() throws IOException {
    rows = Identity.sha256();
    DatasetFolder dataset = dataset();
    DatasetManifest manifest = dataset.requireManifest();
    result(manifest);
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
    Result empty = new Result("", new TreeMap<>());
    DatasetManifest manifest = dataset().readManifest().orElse(null);
    return manifest == null ? empty : result(manifest);
  }

  private Result result(DatasetManifest manifest) throws IOException {
    DatasetFolder dataset = dataset();
    Configuration configuration = dataset.configuration();
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
    NavigableMap<String, String> there = store.files();
    NavigableMap<String, String> files = new TreeMap<>();
    for (String file : manifest.files()) {
      if (there.get("/data/" + file) == null) {
        throw new IOException("There is no " + file + ", which the manifest names");
      }
      files.put(file, there.get("/data/" + file));
    }
    checkpoint(files);
    return new Result(new String(Json.pretty(manifest), StandardCharsets.UTF_8), files);
  }

  private void checkpoint(Map<String, String> files) throws IOException {
    if (CheckpointStore.newestStep(store.path("run").toString(), dataset().configuration()) < 0) {
      return;
    }
    try (Checkpoint newest =
        CheckpointStore.newest(store.path("run").toString(), dataset().configuration())) {
      files.put("step", Long.toString(newest.state().step()));
      for (String name : List.of(Checkpoint.MODEL, Checkpoint.HEADS)) {
        files.put(
            name,
            io.github.kklip.store.Identity.ofBytes(
                Files.readAllBytes(newest.folder().resolve(name))));
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
      long found = 0;
      for (int group = 0; group < reader.rowGroups(); group++) {
        for (Object row : reader.readGroup(group)) {
          add(text(row));
          found++;
        }
      }
      if (rows >= 0 && rows != found) {
        throw new IOException(found + " rows instead of " + rows);
      }
      return found;
    }
  }
}
