/** Typed, validated settings: every key of {@code reference.conf} as a field of a record. */
package io.github.kklip.config;
