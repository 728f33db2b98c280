package io.github.kklip.store;

import static io.github.kklip.config.Message.message;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import io.github.kklip.config.Roles;
import io.github.kklip.config.SettingsException;
import java.io.Serializable;
import java.util.Collections;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * The settings that decide what a stage's output is. They stand in its manifest, and their digest
 * in the footer of its files, so that output of other settings is never taken for it.
 */
public record ProcessingSettings(@JsonValue SortedMap<String, String> values)
    implements Serializable {
  @JsonCreator(mode = JsonCreator.Mode.DELEGATING)
  public ProcessingSettings {
    values = Collections.unmodifiableSortedMap(new TreeMap<>(values));
  }

  /** 32 hexadecimal digits. */
  public String digest() {
    return Identity.ofSettings(values);
  }

  /**
   * Refuses output that was made with other settings.
   *
   * @param made the settings in the manifest of what is there
   * @param what the output, for example {@code "the dataset /data/flickr"}
   * @param other what to change to keep these settings, for example {@code "another dataset"}
   * @throws SettingsException naming every setting that differs
   */
  public void requireSame(ProcessingSettings made, String what, String other) {
    List<String> differences = Roles.differences(made.values, values);
    if (!differences.isEmpty()) {
      throw new SettingsException(
          message(
              "Cannot add to or use %s because it was made with other settings: %s. Use those settings, or %s.",
              what, String.join("; ", differences), other));
    }
  }
}
