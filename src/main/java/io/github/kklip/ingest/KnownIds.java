package io.github.kklip.ingest;

import java.io.Serializable;
import java.nio.ByteBuffer;
import java.util.List;

/**
 * The ids of the rows that a dataset has already, 16 bytes each plus the free places of an open
 * hash table.
 */
final class KnownIds implements Serializable {
  private static final long serialVersionUID = 1L;

  private static final int BYTES = 16;

  /** High and low halves, alternating; both 0 is a free place. */
  private final long[] table;

  private final int mask;

  /**
   * @param packed ids as {@link #pack} gives them
   */
  KnownIds(List<byte[]> packed) {
    long count = packed.stream().mapToLong(bytes -> bytes.length / BYTES).sum();
    int places = 16;
    while (places < 2 * count) {
      places = Math.multiplyExact(places, 2);
    }
    table = new long[Math.multiplyExact(places, 2)];
    mask = places - 1;
    for (byte[] bytes : packed) {
      ByteBuffer ids = ByteBuffer.wrap(bytes);
      while (ids.hasRemaining()) {
        add(ids.getLong(), ids.getLong());
      }
    }
  }

  /** 16 bytes for each of the ids, which are 32 hexadecimal digits each. */
  static byte[] pack(List<String> ids) {
    ByteBuffer packed = ByteBuffer.allocate(Math.multiplyExact(ids.size(), BYTES));
    ids.forEach(id -> packed.putLong(high(id)).putLong(low(id)));
    return packed.array();
  }

  private void add(long high, long low) {
    int place = place(high, low);
    table[2 * place] = high;
    table[2 * place + 1] = low;
  }

  boolean contains(String id) {
    long high = high(id);
    long low = low(id);
    int place = place(high, low);
    return table[2 * place] == high && table[2 * place + 1] == low;
  }

  /** Where the id is, or the free place where it would be. */
  private int place(long high, long low) {
    // Ids are hashes already.
    int place = (int) low & mask;
    while ((table[2 * place] != 0 || table[2 * place + 1] != 0)
        && (table[2 * place] != high || table[2 * place + 1] != low)) {
      place = (place + 1) & mask;
    }
    return place;
  }

  private static long high(String id) {
    return Long.parseUnsignedLong(id, 0, 16, 16);
  }

  private static long low(String id) {
    return Long.parseUnsignedLong(id, 16, 32, 16);
  }
}
