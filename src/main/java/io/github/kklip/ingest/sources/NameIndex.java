package io.github.kklip.ingest.sources;

import io.github.kklip.config.SplitMix64;

/**
 * Names, and a number under each where it is asked for. Only a hash of 64 bits is kept of a name,
 * in 16 to 32 bytes, up to a bound, from which on no name is added. Of 4 million names, two have
 * one hash with a chance of 1 in 2 million.
 */
final class NameIndex {
  private static final long FNV_OFFSET = 0xcbf29ce484222325L;
  private static final long FNV_PRIME = 0x100000001b3L;

  private static final int FIRST_SLOTS = 1024;

  private final int bound;
  private long[] hashes = new long[FIRST_SLOTS];

  /** Null where there are no numbers. */
  private long[] values;

  private int size;

  /**
   * @param bound the most names
   * @param numbers whether each has a number
   */
  NameIndex(int bound, boolean numbers) {
    this.bound = bound;
    this.values = numbers ? new long[FIRST_SLOTS] : null;
  }

  boolean contains(String name) {
    return hashes[slot(hashes, hash(name))] != 0;
  }

  /** The number under a name; -1 when there is none. */
  long number(String name) {
    int slot = slot(hashes, hash(name));
    return hashes[slot] == 0 ? -1 : values[slot];
  }

  /**
   * Adds a name that is not there.
   *
   * @return whether it is there now: not when there are as many as there may be
   */
  boolean add(String name, long number) {
    long hash = hash(name);
    int slot = slot(hashes, hash);
    if (hashes[slot] != 0) {
      return true;
    }
    if (size == bound) {
      return false;
    }
    hashes[slot] = hash;
    if (values != null) {
      values[slot] = number;
    }
    size++;
    if (2 * size > hashes.length) {
      grow();
    }
    return true;
  }

  private void grow() {
    long[] oldHashes = hashes;
    long[] oldValues = values;
    values = values == null ? null : new long[2 * oldHashes.length];
    hashes = new long[2 * oldHashes.length];
    for (int i = 0; i < oldHashes.length; i++) {
      if (oldHashes[i] != 0) {
        int slot = slot(hashes, oldHashes[i]);
        hashes[slot] = oldHashes[i];
        if (values != null) {
          values[slot] = oldValues[i];
        }
      }
    }
  }

  /** Where a hash is, or would be. */
  private static int slot(long[] hashes, long hash) {
    int slot = (int) hash & (hashes.length - 1);
    while (hashes[slot] != 0 && hashes[slot] != hash) {
      slot = (slot + 1) & (hashes.length - 1);
    }
    return slot;
  }

  /** Never zero, which marks an empty slot. */
  private static long hash(String name) {
    long hash = FNV_OFFSET;
    for (int i = 0; i < name.length(); i++) {
      hash = (hash ^ name.charAt(i)) * FNV_PRIME;
    }
    long mixed = new SplitMix64(hash).nextLong();
    return mixed == 0 ? 1 : mixed;
  }
}
