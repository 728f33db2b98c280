package io.github.kklip.train;

import ai.djl.Device;
import io.github.kklip.comms.Collective;

/**
 * What one rank works with.
 *
 * @param collective joins it to the others; the caller closes it
 * @param device CPU or its GPU
 * @param threads native threads; 0: one for each processor
 */
public record Rank(Collective collective, Device device, int threads) {}
