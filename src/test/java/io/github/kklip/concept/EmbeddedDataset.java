package io.github.kklip.concept;

import io.github.kklip.config.Seeds;
import io.github.kklip.config.SplitMix64;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.Identity;
import io.github.kklip.store.Pair;
import io.github.kklip.store.ProcessingSettings;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Split;
import io.github.kklip.store.TeacherManifest;
import io.github.kklip.store.TestDataset;
import io.github.kklip.store.Vector;
import io.github.kklip.store.VectorStorage;
import io.github.kklip.store.shards.ShardWriter;
import io.github.kklip.store.shards.VectorFormat;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;

/**
 * A dataset with embeddings as the stages before this one leave it: captions about six things, and
 * embeddings around six points far from the origin.
 */
final class EmbeddedDataset {
  static final List<String> THINGS = List.of("cat", "dog", "boat", "tree", "cup", "<moon>");
  static final int DIMENSION = 12;
  static final int SHARD_ROWS = 150;
  private static final int GROUP_ROWS = 64;

  private final DatasetFolder folder;
  private final ProcessingSettings teacher = settings("pooling", "mean");
  private final List<DatasetManifest.Generation> generations = new ArrayList<>();
  private final double[] sum = new double[DIMENSION];
  private final SortedMap<String, String> files = new TreeMap<>();
  private long trainRows;

  EmbeddedDataset(Path root) {
    this.folder = new DatasetFolder(root.toString(), new Configuration());
  }

  DatasetFolder folder() {
    return folder;
  }

  private static ProcessingSettings settings(String key, String value) {
    return new ProcessingSettings(new TreeMap<>(java.util.Map.of(key, value)));
  }

  /** Adds shards; {@code world} decides their captions and embeddings. */
  void generation(int train, int validation, String world) throws IOException {
    List<Shard> shards = new ArrayList<>();
    for (int i = 0; i < train; i++) {
      shards.add(shard(Split.TRAIN, count(Split.TRAIN) + i, world));
    }
    for (int i = 0; i < validation; i++) {
      shards.add(shard(Split.VALIDATION, count(Split.VALIDATION) + i, world));
    }
    generations.add(TestDataset.generation(shards));
    manifest();
  }

  private int count(Split split) {
    return (int)
        generations.stream()
            .flatMap(g -> g.shards().stream())
            .filter(s -> s.split() == split)
            .count();
  }

  DatasetManifest manifest() throws IOException {
    return TestDataset.commit(folder, settings("shard-rows", "150"), generations);
  }

  /** Writes the embeddings' manifest; the mean is that of the first call. */
  void embedded(List<Double> mean) throws IOException {
    TestDataset.commit(
        folder,
        "llama",
        new TeacherManifest(teacher, DIMENSION, VectorStorage.FLOAT32, files, trainRows, mean));
  }

  List<Double> mean() {
    return java.util.Arrays.stream(sum).map(s -> s / trainRows).boxed().toList();
  }

  private Shard shard(Split split, int index, String world) throws IOException {
    SplitMix64 random = new SplitMix64(Seeds.derive(1, world + split, index));
    List<Pair> pairs = new ArrayList<>();
    List<float[]> embeddings = new ArrayList<>();
    for (int row = 0; row < SHARD_ROWS; row++) {
      int thing = random.nextInt(THINGS.size());
      byte[] image = (world + split + index + "," + row / 2).getBytes(StandardCharsets.UTF_8);
      String caption = "a " + THINGS.get(thing) + " in scene " + row;
      String imageId = Identity.ofImage(image);
      pairs.add(new Pair(Identity.ofPair(imageId, caption), imageId, caption, image, 8, 8, "test"));
      float[] embedding = new float[DIMENSION];
      for (int j = 0; j < DIMENSION; j++) {
        double centre = j % THINGS.size() == thing ? 3 : 0;
        embedding[j] = (float) (10 + centre + 0.4 * random.nextGaussian());
        sum[j] += split == Split.TRAIN ? embedding[j] : 0;
      }
      trainRows += split == Split.TRAIN ? 1 : 0;
      embeddings.add(embedding);
    }
    return write(split, index, pairs, embeddings);
  }

  private Shard write(Split split, int index, List<Pair> pairs, List<float[]> embeddings)
      throws IOException {
    Shard shard = TestDataset.pairs(folder, split, index, pairs, GROUP_ROWS);
    try (ShardWriter<Vector> writer =
        new ShardWriter<>(
            folder.configuration(),
            new org.apache.hadoop.fs.Path(
                folder.teacher("llama", teacher), shard.stem() + ".parquet"),
            new VectorFormat(VectorStorage.FLOAT32, DIMENSION),
            shard,
            teacher.digest())) {
      for (int row = 0; row < pairs.size(); row++) {
        writer.write(new Vector(pairs.get(row).id(), embeddings.get(row)));
      }
      files.put(shard.identity(), folder.inside(writer.commit().file()));
    }
    return shard;
  }
}
