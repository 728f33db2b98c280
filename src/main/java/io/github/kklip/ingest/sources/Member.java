package io.github.kklip.ingest.sources;

import java.util.List;

/**
 * What one place of a source holds: an archive group, a table row, an image file with its text.
 * Every picture with every caption is a candidate; a picture without any is one.
 *
 * @param key the place, for example the name of the image in the archive
 * @param captions of each of the pictures
 * @param ignored archive members in this place that are no part of a candidate
 * @param problems each one more candidate, which is rejected: what could not be opened or was cut
 */
public record Member(
    String key,
    List<Picture> pictures,
    List<Caption> captions,
    int ignored,
    List<Problem> problems) {
  /** Encoded image bytes, or why there are none. */
  public record Picture(String name, byte[] bytes, Problem problem) {
    static Picture of(String name, byte[] bytes) {
      return new Picture(name, bytes, null);
    }

    static Picture broken(String name, Problem problem) {
      return new Picture(name, null, problem);
    }
  }

  /**
   * A caption, or why there is none.
   *
   * @param name what tells it from the other captions of the member; may be empty
   */
  public record Caption(String name, String text, Problem problem) {
    static Caption of(String name, String text) {
      return new Caption(name, text, null);
    }

    static Caption broken(String name, Problem problem) {
      return new Caption(name, null, problem);
    }
  }

  static Member ignored(String key, int count) {
    return new Member(key, List.of(), List.of(), count, List.of());
  }

  static Member problem(String key, String reason, String detail) {
    return new Member(key, List.of(), List.of(), 0, List.of(new Problem(reason, detail)));
  }
}
