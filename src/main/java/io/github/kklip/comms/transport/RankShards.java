package io.github.kklip.comms.transport;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.ElementType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.stream.IntStream;

/** A buffer cut into one shard for each rank: contiguous elements, in rank order. */
public final class RankShards {
  /** The elements in native order, from position 0 to the limit. */
  private final ByteBuffer bytes;

  /** The first byte of each shard, and the end of the last. */
  private final int[] starts;

  private RankShards(ByteBuffer bytes, int[] starts) {
    this.bytes = bytes;
    this.starts = starts;
  }

  public static RankShards of(ByteBuffer buffer, ElementType type, int[] counts, int ranks) {
    if (counts.length != ranks) {
      throw new IllegalArgumentException(
          message(
              "Cannot cut a buffer for %s ranks because the number of counts is %s.",
              ranks, counts.length));
    }
    int[] starts = new int[ranks + 1];
    long end = 0;
    for (int r = 0; r < ranks; r++) {
      if (counts[r] < 0) {
        throw new IllegalArgumentException(
            message("Cannot cut a buffer because the count of rank %s is %s.", r, counts[r]));
      }
      end += (long) counts[r] * type.bytes();
      starts[r + 1] = (int) Math.min(end, Integer.MAX_VALUE);
    }
    if (end != buffer.remaining()) {
      throw new IllegalArgumentException(
          message(
              "Cannot cut a buffer of %s bytes because the counts %s of %s need %s bytes.",
              buffer.remaining(), Arrays.toString(counts), type, end));
    }
    return new RankShards(buffer.slice().order(ByteOrder.nativeOrder()), starts);
  }

  /**
   * Sizes of shards as equal as can be: the first {@code elements % ranks} have one element more.
   *
   * @return one size for each rank, in order
   */
  public static int[] evenCounts(int elements, int ranks) {
    int[] counts = new int[ranks];
    Arrays.fill(counts, elements / ranks);
    for (int i = 0; i < elements % ranks; i++) {
      counts[i]++;
    }
    return counts;
  }

  /** The first element of a rank's shard. */
  public static int start(int[] counts, int rank) {
    return Arrays.stream(counts, 0, rank).sum();
  }

  public static void checkRoot(int root, int ranks) {
    if (root < 0 || root >= ranks) {
      throw new IllegalArgumentException(
          message("Cannot broadcast from rank %s because there are %s ranks.", root, ranks));
    }
  }

  /** Shard {@code r}, where r may be any whole number: shards go round as the ranks do. */
  public ByteBuffer shard(int r) {
    int index = Math.floorMod(r, starts.length - 1);
    return bytes.slice(starts[index], starts[index + 1] - starts[index]);
  }

  /**
   * At most {@code size} bytes of a shard, from its byte {@code start}; nothing when it is shorter.
   */
  public ByteBuffer chunk(int r, long start, int size) {
    ByteBuffer shard = shard(r);
    int from = (int) Math.min(start, shard.limit());
    return shard.slice(from, Math.min(size, shard.limit() - from));
  }

  int number() {
    return starts.length - 1;
  }

  /** Bytes of the longest shard. */
  public int longest() {
    return IntStream.range(1, starts.length).map(r -> starts[r] - starts[r - 1]).max().orElse(0);
  }
}
