package io.github.kklip.jobs;

/**
 * The settings that a job would have.
 *
 * @param settings HOCON that {@code --conf} takes
 */
record SettingsSummary(String settings) {}
