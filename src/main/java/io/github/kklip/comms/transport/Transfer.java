package io.github.kklip.comms.transport;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * One operation as a rank of a ring sees it: bytes that go to the next rank and bytes that come
 * from the previous one.
 *
 * <p>With N ranks and shards numbered modulo N, rank r of an all-reduce sends shards r, r-1, r-2,
 * ... and receives shards r-1, r-2, ...: the first N-1 that come are added to what is there, after
 * which shard r+1 is complete, and the next N-1 replace what is there. So what goes out after the
 * first shard is exactly what has come in. Reduce-scatter is its first half begun one shard
 * earlier, all-gather its second half, broadcast one shard that passes through. (The ring algorithm
 * of Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations",
 * 2009.)
 *
 * <p>All that is done for the first {@value #CHUNK} bytes of every shard, then for the next, and so
 * on, as two streams without a pause: what goes out has come in shortly before and is still in a
 * cache. It goes out by half chunks, because many small sends are slower than few large ones.
 *
 * @param outgoing chunks to send, in order
 * @param incoming chunks to receive into, in order
 */
public record Transfer(List<Outgoing> outgoing, List<Incoming> incoming) {
  private static final int CHUNK = 2 * 1024 * 1024;

  /**
   * A chunk to send.
   *
   * @param source the incoming chunk of the same bytes, which go out as they come in; null: they
   *     are there from the beginning
   */
  public record Outgoing(ByteBuffer chunk, ByteBuffer source) {
    /** Bytes that can go now: of the halves that are there, those that have not gone. */
    public int sendable() {
      return Math.max(0, there() - chunk.position());
    }

    private int there() {
      if (source == null || !source.hasRemaining()) {
        return chunk.limit();
      }
      int half = chunk.limit() / 2;
      return source.position() < half ? 0 : half;
    }
  }

  /**
   * A chunk to receive into.
   *
   * @param summed whether what comes is added to what is there
   */
  public record Incoming(ByteBuffer chunk, boolean summed) {}

  /**
   * What the rank at {@code position} of a ring does; the operation has a shard for each position.
   */
  public static Transfer of(Operation operation, int position) {
    Transfer transfer = new Transfer(new ArrayList<>(), new ArrayList<>());
    RankShards shards = operation.cut();
    int steps = operation.shardSizes().length - 1;
    for (long start = 0; start < shards.longest(); start += CHUNK) {
      switch (operation.kind()) {
        case ALL_REDUCE -> transfer.around(shards, start, position, 2 * steps, steps);
        case REDUCE_SCATTER -> transfer.around(shards, start, position - 1, steps, steps);
        case ALL_GATHER, BARRIER -> transfer.around(shards, start, position, steps, 0);
        case BROADCAST -> transfer.through(shards, start, position, operation.root());
      }
    }
    return transfer;
  }

  /** {@code steps} chunks out, from shard {@code first} downwards, and as many in, one behind. */
  private void around(RankShards shards, long start, int first, int steps, int summed) {
    ByteBuffer source = null;
    for (int k = 0; k < steps; k++) {
      outgoing.add(new Outgoing(shards.chunk(first - k, start, CHUNK), source));
      source = shards.chunk(first - 1 - k, start, CHUNK);
      incoming.add(new Incoming(source, k < summed));
    }
  }

  /** A chunk of the root's shard, which is all there is, in and out. */
  private void through(RankShards shards, long start, int position, int root) {
    ByteBuffer source = null;
    if (position != root) {
      source = shards.chunk(root, start, CHUNK);
      incoming.add(new Incoming(source, false));
    }
    if (Math.floorMod(position + 1 - root, shards.number()) != 0) {
      outgoing.add(new Outgoing(shards.chunk(root, start, CHUNK), source));
    }
  }
}
