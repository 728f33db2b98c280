package io.github.kklip.store;

/**
 * One row of a file of vectors.
 *
 * @param id of the pair
 */
@SuppressWarnings("ArrayRecordComponent") // rows are compared by id, never by equals
public record Vector(String id, float[] values) {}
