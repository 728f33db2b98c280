package io.github.kklip.store;

/**
 * One row of a file of vectors.
 *
 * @param id of the pair
 */
public record Vector(String id, float[] values) {}
