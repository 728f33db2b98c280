package io.github.kklip.jobs;

/**
 * Whether a job can begin.
 *
 * @param checked the job
 */
public record CheckSummary(String checked) {}
