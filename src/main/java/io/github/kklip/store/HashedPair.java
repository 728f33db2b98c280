package io.github.kklip.store;

/**
 * A pair with what finds near-duplicates of its image.
 *
 * @param hash the image's perceptual hash
 */
public record HashedPair(Pair pair, long hash) {}
