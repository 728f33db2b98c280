package io.github.kklip.config;

import java.io.Serializable;
import java.time.Duration;

/** What {@code clean} deletes. */
public record CleanSettings(@Role({}) Duration olderThan) implements Section.Checked, Serializable {
  @Override
  public void check(Section section) {
    section.require(
        olderThan.compareTo(Duration.ofDays(1)) >= 0,
        "older-than",
        "1 day or longer: what a job at work or a reader needs may be named nowhere for hours");
  }
}
