package io.github.kklip.jobs;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;

/** How a job ended. */
enum Status {
  /** It did all that it was asked to. */
  DONE(0),
  FAILED(1),
  /** Its arguments, settings or data cannot be used: a person has to change something. */
  REFUSED(2),
  /** It was asked to stop, by SIGTERM, SIGINT or SIGHUP, and did so in good order. */
  STOPPED(143);

  private final int exit;

  Status(int exit) {
    this.exit = exit;
  }

  /** As it stands in a RESULT line. */
  @JsonValue
  String word() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** The exit status that a RESULT line tells, and that of the process ({@link StopSignal}). */
  int exit() {
    return exit;
  }
}
