package io.github.kklip.concept;

import io.github.kklip.kmeans.Centres;
import io.github.kklip.kmeans.Distances;
import io.github.kklip.store.Label;
import io.github.kklip.store.ProcessingSettings;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Vector;
import io.github.kklip.store.shards.LabelFormat;
import io.github.kklip.store.shards.ShardReader;
import io.github.kklip.store.shards.ShardWriter;
import io.github.kklip.tasks.TaskCounts;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.Serializable;
import java.util.Arrays;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/** Writes the soft labels of one shard: what one task does. */
record Labeller(
    VectorSource source,
    String name,
    ProcessingSettings settings,
    Centres centres,
    double temperature,
    int topK,
    int threads)
    implements Serializable {

  /** Does nothing when an interrupted run left the whole file already. */
  void label(Shard shard, TaskCounts counts) throws IOException {
    Configuration configuration = source.configuration().get();
    Path path = source.folder().concepts(name, shard);
    if (isThere(configuration, path, shard)) {
      counts.doneBefore(shard.rows());
      return;
    }
    try (ShardReader<Vector> vectors = source.open(shard);
        ShardWriter<Label> labels =
            new ShardWriter<>(configuration, path, new LabelFormat(), shard, settings);
        Distances distances =
            new Distances(centres, SparkRows.threads(threads), SparkRows.device())) {
      source.visit(
          vectors,
          shard,
          chunk -> {
            write(labels, chunk, distances);
            counts.done(chunk.ids().size());
          });
      labels.commit();
    }
  }

  private boolean isThere(Configuration configuration, Path path, Shard shard) throws IOException {
    try (ShardReader<Label> labels =
        ShardReader.open(configuration, path, new LabelFormat(), shard, settings)) {
      return labels.rows() == shard.rows();
    } catch (FileNotFoundException e) {
      return false;
    }
  }

  private void write(ShardWriter<Label> writer, VectorSource.Chunk chunk, Distances distances)
      throws IOException {
    Distances.Labels labels = distances.labels(chunk.block(), temperature, topK);
    for (int row = 0; row < chunk.ids().size(); row++) {
      int from = row * topK;
      writer.write(
          new Label(
              chunk.ids().get(row),
              Arrays.copyOfRange(labels.concepts(), from, from + topK),
              Arrays.copyOfRange(labels.weights(), from, from + topK)));
    }
  }
}
