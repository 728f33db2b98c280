package io.github.kklip.concept;

import io.github.kklip.store.Shard;
import java.util.Iterator;
import java.util.List;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.storage.StorageLevel;

/** Rows that the executors of a cluster keep: read once, in memory, on disk where that is full. */
final class SparkRows implements Rows {
  private final JavaSparkContext spark;
  private final JavaRDD<Block> blocks;
  private final int threads;

  private SparkRows(JavaSparkContext spark, JavaRDD<Block> blocks, int threads) {
    this.spark = spark;
    this.blocks = blocks;
    this.threads = threads;
  }

  /**
   * @param threads native threads of a task; 0: the cores that Spark gives it
   * @param partitions tasks of a pass; the result does not depend on it
   */
  static SparkRows of(
      JavaSparkContext spark,
      VectorSource source,
      List<Shard> shards,
      int threads,
      int partitions) {
    JavaRDD<Block> blocks =
        spark
            .parallelize(shards, Math.min(partitions, shards.size()))
            .flatMap(shard -> source.blocks(shard).iterator())
            .setName("k-means rows")
            .persist(StorageLevel.MEMORY_AND_DISK());
    return new SparkRows(spark, blocks, threads);
  }

  JavaRDD<Block> blocks() {
    return blocks;
  }

  static int threads(int set) {
    return set > 0 ? set : TaskContext.get().cpus();
  }

  @Override
  public <A> A fold(Centres centres, Fold<A> fold) {
    Broadcast<Centres> sent = spark.broadcast(centres);
    int threads = this.threads;
    try {
      return blocks
          .mapPartitions(part -> List.of(foldPart(part, sent.value(), fold, threads)).iterator())
          .treeReduce(fold::merge);
    } finally {
      sent.destroy();
    }
  }

  private static <A> A foldPart(
      Iterator<Block> blocks, Centres centres, Fold<A> fold, int threads) {
    A part = fold.zero();
    try (Distances distances = new Distances(centres, threads(threads))) {
      while (blocks.hasNext()) {
        part = fold.add(part, blocks.next(), distances);
      }
    }
    return part;
  }

  @Override
  public void close() {
    blocks.unpersist(false);
  }
}
