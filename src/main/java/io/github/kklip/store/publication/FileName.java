package io.github.kklip.store.publication;

import static io.github.kklip.config.Message.message;
import static io.github.kklip.config.Message.shown;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import java.nio.charset.StandardCharsets;

/**
 * The plain name of a file in a folder that the reader knows. Whoever writes a JSON file, a listing
 * or an archive must not choose the folder as well, so every name that comes from one and becomes a
 * path is made by this type. As a component of a record it is a JSON string, checked when it is
 * read.
 *
 * @param text the name: 1 to {@value #MOST_BYTES} bytes of UTF-8, neither {@code .} nor {@code ..},
 *     without separators of folders, colons (they end a scheme or a drive), control characters,
 *     invisible characters that change how a line reads, or space at its ends
 */
public record FileName(@JsonValue String text) implements Comparable<FileName> {
  /** What file systems take. */
  static final int MOST_BYTES = 255;

  /**
   * The name.
   *
   * @throws IllegalArgumentException when it is none, with the reason
   */
  @JsonCreator
  public FileName {
    String problem = problem(text);
    if (problem != null) {
      throw new IllegalArgumentException(
          message(
              "Cannot use the file name %s because %s. Give the plain name of a file in the same folder.",
              text == null ? "null" : '\'' + shown(text) + '\'', problem));
    }
  }

  private static String problem(String text) {
    if (text == null || text.isEmpty()) {
      return "it is empty";
    }
    if (text.equals(".") || text.equals("..")) {
      return "it names a folder";
    }
    if (text.length() > MOST_BYTES || text.getBytes(StandardCharsets.UTF_8).length > MOST_BYTES) {
      return message("it is longer than %s bytes", MOST_BYTES);
    }
    if (!text.equals(text.strip())) {
      return "it begins or ends with space";
    }
    for (int at = 0; at < text.length(); at += Character.charCount(text.codePointAt(at))) {
      int character = text.codePointAt(at);
      if (character == '/' || character == '\\' || character == ':') {
        return message("it holds '%s'", Character.toString(character));
      }
      switch (Character.getType(character)) {
        case Character.CONTROL,
            Character.FORMAT,
            Character.SURROGATE,
            Character.LINE_SEPARATOR,
            Character.PARAGRAPH_SEPARATOR -> {
          return message("it holds the character U+%04X", character);
        }
        default -> {
          // A letter, a sign or a plain space.
        }
      }
    }
    return null;
  }

  @Override
  public int compareTo(FileName other) {
    return text.compareTo(other.text);
  }

  @Override
  public String toString() {
    return text;
  }
}
