package io.github.kklip.comms;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/**
 * One collective operation as a rank of the ring sees it: bytes that go to the next rank and bytes
 * that come from the previous one.
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
 * @param description the operation for messages
 * @param type what is summed
 * @param outgoing slices to send, in order
 * @param incoming slices to receive into, in order
 * @param summed how many of the incoming slices are added to what is there
 * @param head bytes that may be sent before any has come
 * @param fingerprint equal on all ranks that do the same
 */
record Transfer(
    String description,
    ElementType type,
    List<ByteBuffer> outgoing,
    List<ByteBuffer> incoming,
    int summed,
    long head,
    int fingerprint) {

  static Transfer allReduce(ByteBuffer buffer, ElementType type, int rank, int ranks) {
    requireSum(type);
    Parts parts = Parts.even(buffer, type, ranks);
    return around(
        "allReduce of " + buffer.remaining() + " bytes " + type,
        type,
        parts,
        rank,
        2 * (ranks - 1),
        ranks - 1,
        Objects.hash("allReduce", type.name(), buffer.remaining()));
  }

  static Transfer reduceScatter(
      ByteBuffer buffer, ElementType type, int rank, int ranks, int... counts) {
    requireSum(type);
    return around(
        "reduceScatter of " + Arrays.toString(counts) + " " + type,
        type,
        Parts.of(buffer, type, counts, ranks),
        rank - 1,
        ranks - 1,
        ranks - 1,
        Objects.hash("reduceScatter", type.name(), Arrays.hashCode(counts)));
  }

  static Transfer allGather(
      ByteBuffer buffer, ElementType type, int rank, int ranks, int... counts) {
    return around(
        "allGather of " + Arrays.toString(counts) + " " + type,
        type,
        Parts.of(buffer, type, counts, ranks),
        rank,
        ranks - 1,
        0,
        Objects.hash("allGather", type.name(), Arrays.hashCode(counts)));
  }

  static Transfer broadcast(ByteBuffer buffer, int root, int rank, int ranks) {
    Parts.checkRoot(root, ranks);
    boolean last = Math.floorMod(rank + 1, ranks) == root;
    ByteBuffer all = buffer.slice();
    return new Transfer(
        "broadcast of " + buffer.remaining() + " bytes from rank " + root,
        ElementType.INT8,
        last ? List.of() : List.of(all.duplicate()),
        rank == root ? List.of() : List.of(all.duplicate()),
        0,
        rank == root ? buffer.remaining() : 0,
        Objects.hash("broadcast", root, buffer.remaining()));
  }

  /** {@code rounds} parts out, from part {@code first} downwards, and as many in, one behind. */
  private static Transfer around(
      String description,
      ElementType type,
      Parts parts,
      int first,
      int rounds,
      int summed,
      int fingerprint) {
    List<ByteBuffer> outgoing = new ArrayList<>();
    List<ByteBuffer> incoming = new ArrayList<>();
    for (int k = 0; k < rounds; k++) {
      outgoing.add(parts.part(first - k));
      incoming.add(parts.part(first - 1 - k));
    }
    return new Transfer(
        description, type, outgoing, incoming, summed, parts.part(first).remaining(), fingerprint);
  }

  private static void requireSum(ElementType type) {
    if (type == ElementType.INT8) {
      throw new IllegalArgumentException("Cannot sum INT8 because bytes are only moved.");
    }
  }
}
