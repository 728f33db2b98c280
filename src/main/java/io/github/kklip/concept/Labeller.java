package io.github.kklip.concept;

import io.github.kklip.kmeans.Centres;
import io.github.kklip.kmeans.Distances;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.Label;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Vector;
import io.github.kklip.store.shards.LabelFormat;
import io.github.kklip.store.shards.ShardReader;
import io.github.kklip.store.shards.ShardWriter;
import io.github.kklip.store.shards.UnnamedFiles;
import io.github.kklip.tasks.TaskCounts;
import java.io.IOException;
import java.io.Serializable;
import java.util.Arrays;
import java.util.Optional;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/** Writes the soft labels of one shard: what one task does. */
record Labeller(
    VectorSource source,
    String folder,
    UnnamedFiles left,
    String made,
    Centres centres,
    double temperature,
    int topK,
    int threads)
    implements Serializable {

  /**
   * The file of a shard's labels, which is written unless an interrupted run left it.
   *
   * @return inside the dataset's folder
   */
  String label(Shard shard, TaskCounts counts) throws IOException {
    Configuration configuration = source.configuration().get();
    DatasetFolder dataset = source.folder();
    Optional<Path> there = left.find(dataset, shard, new LabelFormat(), made);
    if (there.isPresent()) {
      counts.doneBefore(shard.rows());
      return dataset.inside(there.get());
    }
    try (ShardReader<Vector> vectors = source.open(shard);
        ShardWriter<Label> labels =
            new ShardWriter<>(
                configuration,
                new Path(folder, shard.stem() + ".parquet"),
                new LabelFormat(),
                shard,
                made);
        Distances distances =
            new Distances(centres, SparkRows.threads(threads), SparkRows.device())) {
      source.visit(
          vectors,
          shard,
          chunk -> {
            write(labels, chunk, distances);
            counts.done(chunk.ids().size());
          });
      return dataset.inside(labels.commit().file());
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
