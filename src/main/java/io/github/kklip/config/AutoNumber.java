package io.github.kklip.config;

import java.io.Serializable;

/**
 * A number or {@code auto}; {@link java.util.OptionalDouble} is not serializable.
 *
 * @param value 0 with {@code auto}
 */
public record AutoNumber(boolean auto, double value) implements Serializable {
  /** As it is typed. */
  String text() {
    return auto ? "auto" : Double.toString(value);
  }
}
