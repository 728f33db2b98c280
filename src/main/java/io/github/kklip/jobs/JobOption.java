package io.github.kklip.jobs;

/**
 * An option that one job alone has.
 *
 * @param name with its hyphens
 * @param label what stands for its value in the help; empty: it has none
 */
record JobOption(String name, String label, String description) {}
