package io.github.kklip.store;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.Locale;

/**
 * The parts of a dataset. A picture is in one of them with all its captions: in the last of those
 * that it comes in with, so that nothing is trained on what is validated or tested on.
 */
public enum Split {
  @JsonProperty("train")
  TRAIN,
  @JsonProperty("validation")
  VALIDATION,
  /** Published data that is evaluated as it is, rows that repeat included. */
  @JsonProperty("test")
  TEST;

  /** The name in files and manifests: {@code train}, {@code validation} or {@code test}. */
  public String keyword() {
    return name().toLowerCase(Locale.ROOT);
  }
}
