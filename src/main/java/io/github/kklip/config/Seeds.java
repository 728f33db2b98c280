package io.github.kklip.config;

import java.nio.charset.StandardCharsets;

/**
 * Derives the seed of each random purpose from the one seed of the settings, so that no two
 * purposes share numbers and adding one changes no other.
 *
 * <p>The purpose is hashed by FNV-1a (64 bits); seed, hash and parts are then absorbed one after
 * the other, each followed by the finalizer of SplitMix64 (Steele, Lea and Flood, "Fast splittable
 * pseudorandom number generators", 2014). The result depends on the order of the parts.
 */
public final class Seeds {
  private static final long FNV_OFFSET = 0xcbf29ce484222325L;
  private static final long FNV_PRIME = 0x100000001b3L;

  private Seeds() {}

  /**
   * The seed of one purpose.
   *
   * @param seed the seed of the settings
   * @param purpose what the numbers are for, for example {@code "epoch-order"}
   * @param parts what tells one use of the purpose from another: epoch, shard, hash of an id
   */
  public static long derive(long seed, String purpose, long... parts) {
    long state = absorb(absorb(0, seed), hash(purpose));
    for (long part : parts) {
      state = absorb(state, part);
    }
    return state;
  }

  /** FNV-1a of the UTF-8 bytes of {@code text}, so that an id can be a part of a seed. */
  public static long hash(String text) {
    long hash = FNV_OFFSET;
    for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
      hash = (hash ^ (b & 0xff)) * FNV_PRIME;
    }
    return hash;
  }

  private static long absorb(long state, long part) {
    return SplitMix64.mix(SplitMix64.mix(state + SplitMix64.INCREMENT) ^ part);
  }
}
