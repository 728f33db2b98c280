package io.github.kklip.concept;

import io.github.kklip.kmeans.Centres;
import io.github.kklip.kmeans.Distances;
import io.github.kklip.kmeans.Fold;
import io.github.kklip.kmeans.VectorBlock;
import io.github.kklip.kmeans.VectorRows;
import io.github.kklip.store.Shard;
import java.util.Iterator;
import java.util.List;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.resource.ResourceInformation;
import org.apache.spark.storage.StorageLevel;

/** Rows that the executors of a cluster keep: read once, in memory, on disk where that is full. */
public final class SparkRows implements VectorRows {
  /** Parts that the driver merges by itself: to set up a tree takes as long as a small pass. */
  private static final int FEW = 4;

  private static final long PART_BYTES = 128L << 20;

  private final JavaSparkContext spark;
  private final JavaRDD<VectorBlock> blocks;
  private final int threads;

  private SparkRows(JavaSparkContext spark, JavaRDD<VectorBlock> blocks, int threads) {
    this.spark = spark;
    this.blocks = blocks;
    this.threads = threads;
  }

  /** Parts that spill one by one when memory is short, and as many for each core. */
  public static int partitions(long bytes, int cores) {
    long wave = cores * PART_BYTES;
    return (int) (cores * Math.max(1, (bytes + wave - 1) / wave));
  }

  /**
   * Rows that the executors read once and keep.
   *
   * @param threads native threads of a task; 0: the cores that Spark gives it
   * @param partitions tasks of a pass; the result does not depend on it
   */
  public static SparkRows of(
      JavaSparkContext spark,
      VectorSource source,
      List<Shard> shards,
      int threads,
      int partitions) {
    return of(spark, read(spark, source, shards, partitions), threads);
  }

  /** Rows that are kept nowhere: every pass reads the shards. */
  public static SparkRows passing(
      JavaSparkContext spark,
      VectorSource source,
      List<Shard> shards,
      int threads,
      int partitions) {
    return new SparkRows(spark, read(spark, source, shards, partitions), threads);
  }

  private static JavaRDD<VectorBlock> read(
      JavaSparkContext spark, VectorSource source, List<Shard> shards, int partitions) {
    return spark
        .parallelize(shards, Math.min(partitions, shards.size()))
        .flatMap(shard -> source.blocks(shard).iterator());
  }

  /** Blocks from wherever they come. */
  public static SparkRows of(JavaSparkContext spark, JavaRDD<VectorBlock> blocks, int threads) {
    return new SparkRows(
        spark, blocks.setName("k-means rows").persist(StorageLevel.MEMORY_AND_DISK()), threads);
  }

  JavaRDD<VectorBlock> blocks() {
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
      JavaRDD<A> parts =
          blocks.mapPartitions(
              part -> List.of(foldPart(part, sent.value(), fold, threads)).iterator());
      return parts.getNumPartitions() <= FEW
          ? parts.reduce(fold::merge)
          : parts.treeReduce(fold::merge);
    } finally {
      sent.destroy();
    }
  }

  /** {@code cpu}, or {@code cuda:N} where Spark assigned a GPU to the task. */
  static String device() {
    ResourceInformation gpu = TaskContext.get().resourcesJMap().get("gpu");
    return gpu == null || gpu.addresses().length == 0 ? "cpu" : "cuda:" + gpu.addresses()[0];
  }

  private static <A> A foldPart(
      Iterator<VectorBlock> blocks, Centres centres, Fold<A> fold, int threads) {
    try (Distances distances = new Distances(centres, threads(threads), device())) {
      return fold.part(blocks, distances);
    }
  }

  @Override
  public void close() {
    blocks.unpersist(false);
  }
}
