package io.github.kklip.comms.memory;

import java.nio.ByteBuffer;

/**
 * Which slots of the segments rounds take in turn. Few slots stay in the processors' caches, which
 * is fastest where ranks share a cache. Where they do not, a line that was read by another rank is
 * in both caches, and to write it again costs a message across the processor; with many slots it
 * has left the caches before. Nothing says which of both holds, and it changes where the system
 * moves its processes, so that it is measured: the first rank times its own work on some rounds in
 * either way, and tells the others which way is taken, an epoch of rounds ahead.
 *
 * <p>A slot is used again {@value #FEW} rounds later or more, also where the way changes, because
 * epochs begin at multiples of {@value #EPOCH}.
 */
final class SegmentSlots {
  static final int FEW = 4;

  /** Bytes of one slot, of all parts together. */
  static final int SLOT_BYTES = 256 * 1024;

  /** Bytes that many slots have in all segments together: more than the caches of a processor. */
  private static final int ALL_BYTES = 32 << 20;

  private static final int EPOCH = 8;

  /** Once in so many epochs the slower way is tried: the choice lasts for milliseconds. */
  private static final int TRIAL = 32;

  /** Ways of epochs that a rank may still need: others are less than one epoch ahead. */
  private static final int EPOCHS = 4;

  private final ByteBuffer ways;
  private final int many;

  /** Of either way, the least time of the first rank for a round when it was last taken. */
  private final long[] nanos = {Long.MAX_VALUE, Long.MAX_VALUE};

  private long fastest = Long.MAX_VALUE;

  /**
   * @param first the memory of the first rank, zero before its ranks begin
   * @param offset where it has {@value #EPOCHS} numbers of 4 bytes for ways
   * @param slots that a segment has room for
   */
  SegmentSlots(ByteBuffer first, int offset, int slots) {
    ways = first.slice(offset, EPOCHS * Integer.BYTES).order(first.order());
    many = slots / EPOCH * EPOCH;
  }

  /** The slots of a segment where so many ranks have one each. */
  static int many(int ranks) {
    return Math.max(EPOCH, ALL_BYTES / SLOT_BYTES / ranks / EPOCH * EPOCH);
  }

  /** The slot of a round, counted over all operations. */
  int of(long round) {
    return (int) (round % (way(round / EPOCH) == 0 ? FEW : many));
  }

  /** Called by the first rank alone: what a whole round cost it, without waits. */
  void took(long time) {
    fastest = Math.min(fastest, time);
  }

  /** Called by the first rank alone, before the others can have begun the round. */
  void begin(long round) {
    if (round % EPOCH != 0) {
      return;
    }
    long epoch = round / EPOCH;
    if (fastest != Long.MAX_VALUE) {
      nanos[way(epoch - 1)] = fastest;
      fastest = Long.MAX_VALUE;
    }
    int better = nanos[1] < nanos[0] ? 1 : 0;
    ways.putInt(at(epoch + 1), (epoch + 1) % TRIAL == 0 ? 1 - better : better);
  }

  private int way(long epoch) {
    return ways.getInt(at(epoch));
  }

  private static int at(long epoch) {
    return (int) (epoch % EPOCHS) * Integer.BYTES;
  }
}
