package io.github.kklip.train;

import io.github.kklip.comms.Collective;
import io.github.kklip.comms.Ranks;
import io.github.kklip.config.Settings;
import io.github.kklip.config.SplitMix64;
import io.github.kklip.store.ConceptManifest;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.HashedPair;
import io.github.kklip.store.Identity;
import io.github.kklip.store.Label;
import io.github.kklip.store.ManifestFiles;
import io.github.kklip.store.Manifests;
import io.github.kklip.store.Pair;
import io.github.kklip.store.ProcessingSettings;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Split;
import io.github.kklip.store.TeacherManifest;
import io.github.kklip.store.TestDataset;
import io.github.kklip.store.TokenizerManifest;
import io.github.kklip.store.Vector;
import io.github.kklip.store.VectorStorage;
import io.github.kklip.store.shards.LabelFormat;
import io.github.kklip.store.shards.PairFormat;
import io.github.kklip.store.shards.PairWriter;
import io.github.kklip.store.shards.ShardReader;
import io.github.kklip.store.shards.ShardWriter;
import io.github.kklip.store.shards.VectorFormat;
import io.github.kklip.tensor.TestDevice;
import io.github.kklip.train.plan.TrainPlan;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
import javax.imageio.ImageIO;
import org.apache.hadoop.conf.Configuration;

/** A dataset of small coloured pictures, two captions each, with embeddings and labels. */
public final class TinyDataset {
  public static final Configuration CONFIGURATION = new Configuration(false);
  static final int DIMENSION = 6;
  static final int CONCEPTS = 5;
  private static final ProcessingSettings MADE =
      new ProcessingSettings(new TreeMap<>(Map.of("made", "for tests")));
  private static final String STUDENT =
      """
        {"model_type": "clip", "projection_dim": 8,
         "text_config": {"vocab_size": 555, "max_position_embeddings": 24, "hidden_size": 16,
           "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
           "bos_token_id": 553, "eos_token_id": 554, "pad_token_id": 554},
         "vision_config": {"image_size": 16, "patch_size": 8, "hidden_size": 16,
           "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}}
        """;
  private static final String[] COLOURS = {"red", "green", "blue", "yellow", "black", "white"};

  private final Path folder;
  private final DatasetFolder dataset;
  private final List<Shard> shards = new ArrayList<>();

  private TinyDataset(Path folder) {
    this.folder = folder;
    dataset = new DatasetFolder(folder.toString(), CONFIGURATION);
  }

  /** One that was made before. */
  static TinyDataset at(Path folder) {
    return new TinyDataset(folder);
  }

  /** Only pairs and tokenizer: enough for plain CLIP. */
  static TinyDataset pairs(Path folder, int... shardRows) throws IOException {
    TinyDataset made = new TinyDataset(folder);
    for (int rows : shardRows) {
      made.writePairs(rows);
    }
    return made.published();
  }

  /** One shard of images that have so many captions each, each image stored once. */
  public static TinyDataset captioned(Path folder, int images, int captions) throws IOException {
    TinyDataset made = new TinyDataset(folder);
    SplitMix64 random = new SplitMix64(0);
    org.apache.hadoop.fs.Path path =
        made.dataset.file("pairs/1/" + Shard.stem(Split.TRAIN, 0) + ".parquet");
    try (PairWriter writer = new PairWriter(CONFIGURATION, path, Split.TRAIN, false, 64)) {
      for (int i = 0; i < images; i++) {
        int colour = random.nextInt(COLOURS.length);
        byte[] image = png(colour, random);
        for (int p = 0; p < captions; p++) {
          writer.write(
              new HashedPair(pair(image, "a " + COLOURS[colour] + " square, way " + p), 0));
        }
      }
      ShardWriter.Written written = writer.commit();
      made.shards.add(
          new Shard(
              Split.TRAIN,
              0,
              writer.rows(),
              written.identity(),
              made.dataset.inside(written.file()),
              writer.blocks()));
    }
    return made.published();
  }

  private static Pair pair(byte[] image, String caption) {
    String imageId = Identity.ofImage(image);
    return new Pair(Identity.ofPair(imageId, caption), imageId, caption, image, 20, 18, "test");
  }

  private TinyDataset published() throws IOException {
    Files.createDirectories(folder.resolve("tokenizer"));
    try (InputStream in =
        TinyDataset.class.getResourceAsStream("/golden/text/clip/tokenizer.json")) {
      Files.copy(in, folder.resolve("tokenizer").resolve("tokenizer.json"));
    }
    TestDataset.commit(dataset, MADE, List.of(TestDataset.generation(shards)));
    TestDataset.commit(
        dataset,
        new TokenizerManifest(
            MADE, 0, 0, 0, List.of(), "tokenizer", List.of("tokenizer/tokenizer.json")));
    Files.writeString(folder.resolve("student.json"), STUDENT);
    return this;
  }

  /** With embeddings and labels; the embedding of row {@code notANumber} of shard 0 is NaN. */
  public static TinyDataset whole(Path folder, int notANumber, int... shardRows)
      throws IOException {
    return odd(folder, notANumber, Float.NaN, shardRows);
  }

  /** With embeddings and labels; the embedding of row {@code row} of shard 0 has an odd value. */
  static TinyDataset odd(Path folder, int row, float value, int... shardRows) throws IOException {
    TinyDataset made = pairs(folder, shardRows);
    SortedMap<String, String> vectors = new TreeMap<>();
    SortedMap<String, String> labels = new TreeMap<>();
    for (Shard shard : made.shards) {
      vectors.put(shard.identity(), made.writeTeacher(shard, row, value));
      labels.put(shard.identity(), made.writeLabels(shard));
    }
    TestDataset.commit(
        made.dataset,
        "llama",
        new TeacherManifest(
            MADE,
            DIMENSION,
            VectorStorage.FLOAT32,
            vectors,
            10,
            List.of(0.1, 0.1, 0.1, 0.1, 0.1, 0.1)));
    TestDataset.commit(
        made.dataset,
        "concepts",
        new ConceptManifest(
            ConceptManifest.FORMAT,
            MADE,
            "llama",
            CONCEPTS,
            DIMENSION,
            1,
            2,
            2,
            0.9,
            List.of(1.0),
            List.of(1L),
            "",
            "concepts/concepts/centroids.safetensors",
            MADE.digest(),
            labels));
    return made;
  }

  private void writePairs(int rows) throws IOException {
    SplitMix64 random = new SplitMix64(shards.size());
    List<Pair> pairs = new ArrayList<>();
    byte[] image = {};
    int colour = 0;
    for (int row = 0; row < rows; row++) {
      if (row % 2 == 0) {
        colour = random.nextInt(COLOURS.length);
        image = png(colour, random);
      }
      String caption = "a " + COLOURS[colour] + " square, " + "row ".repeat(row % 4) + row;
      pairs.add(pair(image, caption));
    }
    shards.add(TestDataset.pairs(dataset, Split.TRAIN, shards.size(), pairs, 16));
  }

  private static byte[] png(int colour, SplitMix64 random) throws IOException {
    BufferedImage picture = new BufferedImage(20, 18, BufferedImage.TYPE_INT_RGB);
    for (int y = 0; y < 18; y++) {
      for (int x = 0; x < 20; x++) {
        int noise = random.nextInt(60);
        int red = (colour & 1) * 180 + noise;
        int green = (colour >> 1 & 1) * 180 + noise;
        int blue = (colour >> 2 & 1) * 180 + noise;
        picture.setRGB(x, y, red << 16 | green << 8 | blue);
      }
    }
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    ImageIO.write(picture, "png", bytes);
    return bytes.toByteArray();
  }

  private String writeTeacher(Shard shard, int odd, float value) throws IOException {
    SplitMix64 random = new SplitMix64(100 + shard.index());
    try (ShardWriter<Vector> writer =
        new ShardWriter<>(
            CONFIGURATION,
            new org.apache.hadoop.fs.Path(
                dataset.teacher("llama", MADE), shard.stem() + ".parquet"),
            new VectorFormat(VectorStorage.FLOAT32, DIMENSION),
            shard,
            MADE.digest())) {
      int row = 0;
      for (String id : ids(shard)) {
        float[] values = new float[DIMENSION];
        for (int i = 0; i < DIMENSION; i++) {
          values[i] = (float) random.nextGaussian();
        }
        if (shard.index() == 0 && row++ == odd) {
          values[3] = value;
        }
        writer.write(new Vector(id, values));
      }
      return dataset.inside(writer.commit().file());
    }
  }

  String writeLabels(Shard shard) throws IOException {
    SplitMix64 random = new SplitMix64(200 + shard.index());
    try (ShardWriter<Label> writer =
        new ShardWriter<>(
            CONFIGURATION,
            new org.apache.hadoop.fs.Path(
                dataset.concepts("concepts"), MADE.digest() + "/" + shard.stem() + ".parquet"),
            new LabelFormat(),
            shard,
            MADE.digest())) {
      for (String id : ids(shard)) {
        int first = random.nextInt(CONCEPTS);
        if (random.nextInt(2) == 0) {
          writer.write(new Label(id, new int[] {first}, new float[] {1}));
        } else {
          writer.write(
              new Label(id, new int[] {first, (first + 1) % CONCEPTS}, new float[] {0.75f, 0.25f}));
        }
      }
      return dataset.inside(writer.commit().file());
    }
  }

  private List<String> ids(Shard shard) throws IOException {
    List<String> ids = new ArrayList<>();
    try (var reader = ShardReader.open(CONFIGURATION, dataset.pairs(shard), PairFormat.ALL)) {
      for (int group = 0; group < reader.rowGroups(); group++) {
        reader.readGroup(group).forEach(pair -> ids.add(pair.id()));
      }
    }
    return ids;
  }

  public DatasetFolder dataset() {
    return dataset;
  }

  /** The file of the pairs of a shard. */
  public Path pairsOf(int shard) {
    return local(shards.get(shard).file());
  }

  /** The file of the labels of a shard. */
  public Path labelsOf(int shard) throws IOException {
    return local(
        dataset
            .requireManifest()
            .concepts()
            .get("concepts")
            .files()
            .get(shards.get(shard).identity()));
  }

  /** A commit after which the dataset has the second shard alone, as compaction leaves others. */
  public void leaveSecondShard() throws IOException {
    leaveSecondShard(List.of());
  }

  /**
   * The same after which these ids are taken down.
   *
   * @param removed the files that list them
   */
  void leaveSecondShard(List<String> removed) throws IOException {
    Shard kept = shards.get(1);
    Manifests.commit(
        dataset,
        dataset.requireManifest(),
        newest -> {
          TeacherManifest teacher = newest.teachers().get("llama");
          ConceptManifest labels = newest.concepts().get("concepts");
          return new DatasetManifest(
                  DatasetManifest.FORMAT,
                  newest.number(),
                  newest.layout(),
                  newest.settings(),
                  List.of(TestDataset.generation(List.of(kept))),
                  newest.teachers(),
                  newest.concepts(),
                  newest.tokenizer(),
                  removed)
              .with(
                  "llama",
                  teacher.with(
                      new TreeMap<>(Map.of(kept.identity(), teacher.files().get(kept.identity())))))
              .with(
                  "concepts",
                  labels.with(
                      new TreeMap<>(Map.of(kept.identity(), labels.files().get(kept.identity())))));
        });
  }

  /** The newest manifest. */
  public Path manifest() throws IOException {
    return Path.of(ManifestFiles.file(dataset.root(), dataset.requireManifest().number()).toUri());
  }

  private Path local(String file) {
    return Path.of(dataset.file(file).toUri());
  }

  public List<Shard> shards() {
    return shards;
  }

  /** The plan of a run that writes to {@code output}. */
  public TrainPlan plan(Path output, String... assignments) throws IOException {
    return TrainPlan.of(settings(output, assignments), CONFIGURATION);
  }

  /** The settings of such a run. */
  Settings settings(Path output, String... assignments) {
    List<String> all =
        new ArrayList<>(
            List.of(
                "dataset=" + folder,
                "student.config=" + folder.resolve("student.json"),
                "train.output=" + output,
                "train.batch=10",
                "train.lr=1e-3",
                "train.warmup-steps=5",
                "train.log-every-steps=1",
                "train.step-timeout=1 minute"));
    all.addAll(List.of(assignments));
    return Settings.load(List.of(), all);
  }

  /** Trains on ranks with real sockets between them; what rank 0 returned. */
  public static TrainResult train(TrainPlan plan, int ranks, BooleanSupplier stop)
      throws Exception {
    return Ranks.run(ranks, collective -> train(plan, collective, stop)).get(0);
  }

  public static TrainResult train(TrainPlan plan, int ranks) throws Exception {
    return train(plan, ranks, () -> false);
  }

  public static TrainResult train(TrainPlan plan, Collective collective, BooleanSupplier stop)
      throws IOException {
    Rank rank = new Rank(collective, TestDevice.get(), 1);
    return Trainer.run(plan, rank, CONFIGURATION, TrainProgress.SILENT, stop);
  }
}
