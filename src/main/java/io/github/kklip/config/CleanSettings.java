package io.github.kklip.config;

import java.io.Serializable;
import java.time.Duration;

/** What {@code clean} deletes. */
public record CleanSettings(@Role({}) Duration olderThan) implements Serializable {}
