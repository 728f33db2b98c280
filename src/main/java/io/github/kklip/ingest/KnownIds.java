package io.github.kklip.ingest;

import java.io.Serializable;

/**
 * The ids of the rows that a dataset has already, 16 bytes each plus the free places of an open
 * hash table.
 */
final class KnownIds implements Serializable {
  private static final long serialVersionUID = 1L;

  /** High and low halves, alternating; both 0 is a free place. */
  private final long[] table;

  private final int mask;

  /**
   * @param ids 32 hexadecimal digits each
   * @param count how many there are
   */
  KnownIds(Iterable<String> ids, long count) {
    int places = 16;
    while (places < 2 * count) {
      places = Math.multiplyExact(places, 2);
    }
    table = new long[Math.multiplyExact(places, 2)];
    mask = places - 1;
    for (String id : ids) {
      int place = place(id);
      table[2 * place] = high(id);
      table[2 * place + 1] = low(id);
    }
  }

  boolean contains(String id) {
    int place = place(id);
    return table[2 * place] == high(id) && table[2 * place + 1] == low(id);
  }

  /** Where the id is, or the free place where it would be. */
  private int place(String id) {
    long high = high(id);
    long low = low(id);
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
