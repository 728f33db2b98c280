package io.github.kklip.progress;

import java.io.Serializable;

/**
 * Where a stage is, as one message.
 *
 * @param total units of the stage; 0: unknown
 * @param note further figures for the line
 */
public record Reading(Counts counts, long total, String note) implements Serializable {}
