package io.github.kklip.comms;

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
 * part is exactly what has come in, and the whole operation is two streams: the outgoing one may be
 * as far as {@link #head()} bytes ahead of the incoming one. Reduce-scatter is its first half begun
 * one part earlier, all-gather its second half, broadcast one part that passes through. (The ring
 * algorithm of Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of
 * workstations", 2009.)
 *
 * @param outgoing slices to send, in order
 * @param incoming slices to receive into, in order
 * @param summed how many of the incoming slices are added to what is there
 * @param head bytes that may be sent before any has come
 */
record Transfer(List<ByteBuffer> outgoing, List<ByteBuffer> incoming, int summed, long head) {
  /**
   * What the rank at {@code position} of a ring does; the operation has a part for each position.
   */
  static Transfer of(Operation operation, int position) {
    Parts parts = operation.cut();
    int rounds = operation.parts().length - 1;
    return switch (operation.kind()) {
      case ALL_REDUCE -> around(parts, position, 2 * rounds, rounds);
      case REDUCE_SCATTER -> around(parts, position - 1, rounds, rounds);
      case ALL_GATHER, BARRIER -> around(parts, position, rounds, 0);
      case BROADCAST -> broadcast(operation, position, rounds + 1);
    };
  }

  private static Transfer broadcast(Operation operation, int position, int ranks) {
    boolean first = position == operation.root();
    boolean last = Math.floorMod(position + 1, ranks) == operation.root();
    ByteBuffer all = operation.buffer().slice();
    return new Transfer(
        last ? List.of() : List.of(all.duplicate()),
        first ? List.of() : List.of(all.duplicate()),
        0,
        first ? all.remaining() : 0);
  }

  /** {@code rounds} parts out, from part {@code first} downwards, and as many in, one behind. */
  private static Transfer around(Parts parts, int first, int rounds, int summed) {
    List<ByteBuffer> outgoing = new ArrayList<>();
    List<ByteBuffer> incoming = new ArrayList<>();
    for (int k = 0; k < rounds; k++) {
      outgoing.add(parts.part(first - k));
      incoming.add(parts.part(first - 1 - k));
    }
    return new Transfer(outgoing, incoming, summed, parts.part(first).remaining());
  }
}
