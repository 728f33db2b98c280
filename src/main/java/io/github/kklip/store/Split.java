package io.github.kklip.store;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.Locale;

/** The two parts of a dataset. A picture is in one of them with all its captions. */
public enum Split {
  @JsonProperty("train")
  TRAIN,
  @JsonProperty("validation")
  VALIDATION;

  /** The name in files and manifests: {@code train} or {@code validation}. */
  public String keyword() {
    return name().toLowerCase(Locale.ROOT);
  }
}
