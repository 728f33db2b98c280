package io.github.kklip.comms.transport;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.ElementType;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Objects;

/**
 * One collective operation as a rank calls it.
 *
 * @param shardSizes elements of each rank's shard of the buffer
 * @param root the rank whose bytes are broadcast
 */
public record Operation(
    OperationKind kind,
    ByteBuffer buffer,
    ElementType type,
    @SuppressWarnings("ArrayRecordComponent") int[] shardSizes,
    int root) {
  public enum OperationKind {
    ALL_REDUCE("allReduce"),
    REDUCE_SCATTER("reduceScatter"),
    ALL_GATHER("allGather"),
    BROADCAST("broadcast"),
    BARRIER("barrier");

    private final String text;

    OperationKind(String text) {
      this.text = text;
    }

    public boolean sums() {
      return this == ALL_REDUCE || this == REDUCE_SCATTER;
    }
  }

  public static Operation allReduce(ByteBuffer buffer, ElementType type, int ranks) {
    requireSum(type);
    if (buffer.remaining() % type.bytes() != 0) {
      throw new IllegalArgumentException(
          message(
              "Cannot reduce a buffer of %s bytes because that is no whole number of %s.",
              buffer.remaining(), type));
    }
    return new Operation(
        OperationKind.ALL_REDUCE,
        buffer,
        type,
        RankShards.evenCounts(buffer.remaining() / type.bytes(), ranks),
        0);
  }

  public static Operation reduceScatter(
      ByteBuffer buffer, ElementType type, int ranks, int... counts) {
    requireSum(type);
    RankShards.of(buffer, type, counts, ranks);
    return new Operation(OperationKind.REDUCE_SCATTER, buffer, type, counts, 0);
  }

  public static Operation allGather(ByteBuffer buffer, ElementType type, int ranks, int... counts) {
    RankShards.of(buffer, type, counts, ranks);
    return new Operation(OperationKind.ALL_GATHER, buffer, type, counts, 0);
  }

  public static Operation broadcast(ByteBuffer buffer, int root, int ranks) {
    RankShards.checkRoot(root, ranks);
    int[] counts = new int[ranks];
    counts[root] = buffer.remaining();
    return new Operation(OperationKind.BROADCAST, buffer, ElementType.UINT8, counts, root);
  }

  /** To have a byte of every rank, every rank must have come. */
  public static Operation barrier(int ranks) {
    return new Operation(
        OperationKind.BARRIER,
        ByteBuffer.allocateDirect(ranks),
        ElementType.UINT8,
        RankShards.evenCounts(ranks, ranks),
        0);
  }

  /** The buffer cut into its shards. */
  public RankShards cut() {
    return RankShards.of(buffer, type, shardSizes, shardSizes.length);
  }

  /** Equal on all ranks that do the same. */
  public int fingerprint() {
    return Objects.hash(kind.text, type.name(), root, Arrays.hashCode(shardSizes));
  }

  public String description() {
    return switch (kind) {
      case ALL_REDUCE -> "allReduce of " + buffer.remaining() + " bytes " + type;
      case BROADCAST -> "broadcast of " + buffer.remaining() + " bytes from rank " + root;
      case BARRIER -> "barrier";
      case REDUCE_SCATTER, ALL_GATHER ->
          kind.text + " of " + Arrays.toString(shardSizes) + " " + type;
    };
  }

  private static void requireSum(ElementType type) {
    if (type != ElementType.FLOAT32
        && type != ElementType.FLOAT64
        && type != ElementType.BFLOAT16) {
      throw new IllegalArgumentException(
          message(
              "Cannot sum %s: ranks add FLOAT32, FLOAT64 and BFLOAT16, and only move others.",
              type));
    }
  }
}
