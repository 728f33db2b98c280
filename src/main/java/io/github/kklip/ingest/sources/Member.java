package io.github.kklip.ingest.sources;

import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * What one place of a source holds: a sample of an archive, a table row, an image file with its
 * text. The picture with each caption is a candidate; a picture without any is one.
 *
 * @param key the place, for example the name of the sample in the archive
 * @param picture null where there is none, as of members that are only counted
 * @param captions of the picture
 * @param notes what is counted beside candidates
 * @param problems each one more candidate, which is rejected: what could not be opened or was cut
 */
public record Member(
    String key,
    Picture picture,
    List<Caption> captions,
    Map<Note, Integer> notes,
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

  static Member of(String key, Picture picture, List<Caption> captions) {
    return new Member(key, picture, captions, Map.of(), List.of());
  }

  /** The same with more counts. */
  Member with(Map<Note, Integer> more) {
    Map<Note, Integer> all = new EnumMap<>(Note.class);
    all.putAll(notes);
    more.forEach((note, count) -> all.merge(note, count, Integer::sum));
    return new Member(key, picture, captions, all, problems);
  }

  static Member noted(Map<Note, Integer> notes) {
    return new Member("", null, List.of(), notes, List.of());
  }

  static Member problem(String key, String reason, String detail) {
    return new Member(key, null, List.of(), Map.of(), List.of(new Problem(reason, detail)));
  }

  /** Archive members in this place that are no part of a candidate. */
  public int ignored() {
    return notes.entrySet().stream()
        .filter(note -> note.getKey().isIgnored())
        .mapToInt(Map.Entry::getValue)
        .sum();
  }
}
