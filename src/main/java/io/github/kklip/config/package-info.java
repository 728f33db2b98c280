/**
 * Typed, validated settings: every key of {@code reference.conf} is one component of a record, with
 * its range and its meaning for each output.
 */
package io.github.kklip.config;
