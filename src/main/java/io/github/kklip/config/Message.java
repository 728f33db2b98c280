package io.github.kklip.config;

import com.google.errorprone.annotations.FormatMethod;
import com.google.errorprone.annotations.FormatString;
import java.util.Locale;

/**
 * The text of an error. A message says what cannot be done, why, the value, and what to do; it
 * stands in the code as one string, so that a search for a part of it finds the line.
 */
public final class Message {
  private static final int SHOWN = 100;

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

  /**
   * A value out of a file of other people, as an error shows it: in one line, and not longer than
   * {@value #SHOWN} characters.
   */
  public static String shown(String value) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < Math.min(SHOWN, value.length()); i++) {
      char c = value.charAt(i);
      if (Character.isISOControl(c) || Character.getType(c) == Character.FORMAT) {
        text.append(message("\\u%04x", (int) c));
      } else {
        text.append(c);
      }
    }
    if (value.length() > SHOWN) {
      text.append(message("... (%s characters)", value.length()));
    }
    return text.toString();
  }
}
