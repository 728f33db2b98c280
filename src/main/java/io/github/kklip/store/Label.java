package io.github.kklip.store;

/**
 * One soft concept label.
 *
 * @param id of the pair
 * @param concepts concept indices, the heaviest first
 * @param weights their weights, which sum to 1
 */
public record Label(String id, int[] concepts, float[] weights) {}
