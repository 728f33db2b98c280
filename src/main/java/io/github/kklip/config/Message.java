package io.github.kklip.config;

import com.google.errorprone.annotations.FormatMethod;
import com.google.errorprone.annotations.FormatString;
import java.util.Locale;

/**
 * The text of an error. A message says what cannot be done, why, the value, and what to do; it
 * stands in the code as one string, so that a search for a part of it finds the line.
 */
public final class Message {
  private Message() {}

  /**
   * The text with its values.
   *
   * @param format as for {@link String#format}; the compiler checks it against the values
   */
  @FormatMethod
  public static String message(@FormatString String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }
}
