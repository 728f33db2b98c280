package io.github.kklip.jobs;

import java.util.Map;

/**
 * What all stages of a run gave.
 *
 * @param stages by the job's name, in their order
 */
public record RunSummary(Map<String, StageSummary> stages) {}
