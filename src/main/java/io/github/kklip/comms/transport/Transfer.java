package io.github.kklip.comms.transport;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * One operation as a rank of a ring sees it: bytes that go to the next rank and bytes that come
 * from the previous one.
 *
 * <p>With N ranks and parts numbered modulo N, rank r of an all-reduce sends parts r, r-1, r-2, ...
 * and receives parts r-1, r-2, ...: the first N-1 that come are added to what is there, after which
 * part r+1 is complete, and the next N-1 replace what is there. So what goes out after the first
 * part is exactly what has come in. Reduce-scatter is its first half begun one part earlier,
 * all-gather its second half, broadcast one part that passes through. (The ring algorithm of
 * Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations",
 * 2009.)
 *
 * <p>All that is done for the first {@value #CHUNK} bytes of every part, then for the next, and so
 * on, as two streams without a pause: what goes out has come in shortly before and is still in a
 * cache. It goes out by half chunks, because many small sends are slower than few large ones.
 *
 * @param outgoing slices to send, in order
 * @param incoming slices to receive into, in order
 */
public record Transfer(List<Outgoing> outgoing, List<Incoming> incoming) {
  private static final int CHUNK = 2 * 1024 * 1024;

  /**
   * A slice to send.
   *
   * @param source the incoming slice of the same bytes, which go out as they come in; null: they
   *     are there from the beginning
   */
  public record Outgoing(ByteBuffer slice, ByteBuffer source) {
    /** Bytes that can go now: of the halves that are there, those that have not gone. */
    public int sendable() {
      return Math.max(0, there() - slice.position());
    }

    private int there() {
      if (source == null || !source.hasRemaining()) {
        return slice.limit();
      }
      int half = slice.limit() / 2;
      return source.position() < half ? 0 : half;
    }
  }

  /**
   * A slice to receive into.
   *
   * @param summed whether what comes is added to what is there
   */
  public record Incoming(ByteBuffer slice, boolean summed) {}

  /**
   * What the rank at {@code position} of a ring does; the operation has a part for each position.
   */
  public static Transfer of(Operation operation, int position) {
    Transfer transfer = new Transfer(new ArrayList<>(), new ArrayList<>());
    Parts parts = operation.cut();
    int rounds = operation.parts().length - 1;
    for (long start = 0; start < parts.longest(); start += CHUNK) {
      switch (operation.kind()) {
        case ALL_REDUCE -> transfer.around(parts, start, position, 2 * rounds, rounds);
        case REDUCE_SCATTER -> transfer.around(parts, start, position - 1, rounds, rounds);
        case ALL_GATHER, BARRIER -> transfer.around(parts, start, position, rounds, 0);
        case BROADCAST -> transfer.through(parts, start, position, operation.root());
      }
    }
    return transfer;
  }

  /** {@code rounds} chunks out, from part {@code first} downwards, and as many in, one behind. */
  private void around(Parts parts, long start, int first, int rounds, int summed) {
    ByteBuffer source = null;
    for (int k = 0; k < rounds; k++) {
      outgoing.add(new Outgoing(parts.chunk(first - k, start, CHUNK), source));
      source = parts.chunk(first - 1 - k, start, CHUNK);
      incoming.add(new Incoming(source, k < summed));
    }
  }

  /** A chunk of the root's part, which is all there is, in and out. */
  private void through(Parts parts, long start, int position, int root) {
    ByteBuffer source = null;
    if (position != root) {
      source = parts.chunk(root, start, CHUNK);
      incoming.add(new Incoming(source, false));
    }
    if (Math.floorMod(position + 1 - root, parts.number()) != 0) {
      outgoing.add(new Outgoing(parts.chunk(root, start, CHUNK), source));
    }
  }
}
