package io.github.kklip.ingest;

import io.github.kklip.config.Settings;
import io.github.kklip.ingest.RewriteTask.Rewritten;
import io.github.kklip.ingest.sources.Problem;
import io.github.kklip.progress.Progress;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.Pair;
import io.github.kklip.store.Reject;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Split;
import io.github.kklip.store.publication.PortableConfiguration;
import io.github.kklip.store.shards.PairFormat;
import io.github.kklip.store.shards.ShardReader;
import io.github.kklip.tasks.ShardTasks;
import io.github.kklip.tasks.TaskProgress;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.fs.Path;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;

/** Rows of the dataset whose images another split keeps: they leave it. */
final class LosingRows {
  private LosingRows() {}

  /** The dataset without them. */
  static DatasetManifest without(
      JavaSparkContext spark,
      Settings settings,
      DatasetFolder folder,
      DatasetManifest newest,
      Broadcast<Exclusions> exclusions) {
    List<Shard> touched = touched(spark, settings, folder, newest, exclusions);
    try (TaskProgress progress =
        TaskProgress.begin(spark, Progress.of("ingest", "older shards").total(touched.size()))) {
      Map<Shard, Rewritten> rewritten =
          RewrittenShards.write(
              spark,
              settings,
              folder,
              newest,
              touched,
              (shard, pair) -> reject(exclusions.value().conflicts(), shard, pair),
              progress.counts());
      progress.done();
      return RewrittenShards.without(newest, rewritten, newest.removed());
    }
  }

  private static List<Shard> touched(
      JavaSparkContext spark,
      Settings settings,
      DatasetFolder folder,
      DatasetManifest newest,
      Broadcast<Exclusions> exclusions) {
    PortableConfiguration hadoop = new PortableConfiguration(folder.configuration());
    String root = folder.root().toString();
    List<Boolean> found =
        ShardTasks.run(
            spark,
            "the search for rows of other splits",
            settings.threads(),
            newest.shards(),
            (shard, place) ->
                isTouched(
                    new DatasetFolder(new Path(root), hadoop.get()),
                    shard,
                    exclusions.value().conflicts()));
    List<Shard> touched = new ArrayList<>();
    for (int i = 0; i < found.size(); i++) {
      if (found.get(i)) {
        touched.add(newest.shards().get(i));
      }
    }
    return touched;
  }

  private static boolean isTouched(DatasetFolder folder, Shard shard, SplitConflicts conflicts)
      throws IOException {
    try (ShardReader<Pair> reader =
        ShardReader.open(folder.configuration(), folder.pairs(shard), PairFormat.IDS)) {
      for (int group = 0; group < reader.rowGroups(); group++) {
        for (Pair pair : reader.readGroup(group)) {
          if (reject(conflicts, shard, pair) != null) {
            return true;
          }
        }
      }
      return false;
    }
  }

  /** What becomes of a row; null when it stays. */
  private static Reject reject(SplitConflicts conflicts, Shard shard, Pair pair) {
    Split winner = conflicts.winner(pair.imageId());
    if (winner == null || winner == shard.split()) {
      return null;
    }
    Problem problem = Problem.inSplit(winner);
    return new Reject(pair.source(), pair.id(), problem.reason(), problem.detail());
  }
}
