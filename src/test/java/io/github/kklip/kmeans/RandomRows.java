package io.github.kklip.kmeans;

import io.github.kklip.config.SplitMix64;
import java.util.ArrayList;
import java.util.List;

/** Rows around hidden centres, cut into shards and blocks as in a dataset. */
public final class RandomRows {
  private RandomRows() {}

  public static List<VectorBlock> blocks(
      int shards, int shardRows, int dimension, int clusters, long seed) {
    SplitMix64 random = new SplitMix64(seed);
    float[][] hidden = new float[clusters][dimension];
    for (float[] centre : hidden) {
      for (int j = 0; j < dimension; j++) {
        centre[j] = (float) random.nextGaussian();
      }
    }
    List<VectorBlock> blocks = new ArrayList<>();
    for (int shard = 0; shard < shards; shard++) {
      for (int first = 0; first < shardRows; first += 128) {
        int rows = Math.min(128, shardRows - first);
        long[] keys = new long[rows];
        float[] values = new float[rows * dimension];
        for (int row = 0; row < rows; row++) {
          keys[row] = random.nextLong();
          float[] centre = hidden[random.nextInt(clusters)];
          for (int j = 0; j < dimension; j++) {
            values[row * dimension + j] = (float) (centre[j] + 0.3 * random.nextGaussian());
          }
        }
        blocks.add(new VectorBlock(shard, first, keys, values));
      }
    }
    return blocks;
  }

  /** The same blocks dealt out to a number of partitions, with more than one in reverse order. */
  public static LocalRows dealt(List<VectorBlock> blocks, int partitions) {
    List<List<VectorBlock>> dealt = new ArrayList<>();
    for (int p = 0; p < partitions; p++) {
      dealt.add(new ArrayList<>());
    }
    for (int i = 0; i < blocks.size(); i++) {
      dealt.get(i % partitions).add(partitions > 1 ? 0 : i, blocks.get(i));
    }
    return new LocalRows(dealt, 1);
  }
}
