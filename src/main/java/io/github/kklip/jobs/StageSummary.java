package io.github.kklip.jobs;

import com.fasterxml.jackson.annotation.JsonUnwrapped;

/**
 * What one stage of a run gave.
 *
 * @param result the record of the stage's job
 * @param seconds that it took
 */
public record StageSummary(@JsonUnwrapped Record result, double seconds) {}
