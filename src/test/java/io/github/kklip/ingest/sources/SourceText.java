package io.github.kklip.ingest.sources;

import io.github.kklip.config.IngestSettings;
import io.github.kklip.config.Settings;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;

/** What a reader gives of a source, as lines of text. */
final class SourceText {
  private final List<String> lines = new ArrayList<>();
  private final Map<Note, Integer> notes = new EnumMap<>(Note.class);
  private final List<String> details = new ArrayList<>();
  private final List<byte[]> pictures = new ArrayList<>();

  private SourceText() {}

  /**
   * Reads a source.
   *
   * @param keys more keys of the source, as HOCON
   * @param assignments more settings
   */
  static SourceText read(String format, Path path, String keys, String... assignments)
      throws IOException {
    List<String> all = new ArrayList<>(List.of(assignments));
    all.add(
        "ingest.sources=[{format = %s, path = \"%s\"%s}]"
            .formatted(format, path, keys.isEmpty() ? "" : ", " + keys));
    Settings settings = Settings.load(List.of(), all);
    IngestSettings.SourceSettings source = settings.ingest().sources().get(0);
    Configuration configuration = new Configuration(false);
    SourceText text = new SourceText();
    for (SourceFiles.SourceFile file : SourceFiles.of(configuration, 0, source)) {
      for (Unit unit :
          SourceFormats.reader(file.unit(), source, settings).plan(configuration, file.unit())) {
        try (Members members =
            SourceFormats.reader(unit, source, settings).open(configuration, unit)) {
          CaptionText captions = new CaptionText(settings.ingest().captions());
          for (Member next = members.next(); next != null; next = members.next()) {
            text.add(next, captions);
          }
        }
      }
    }
    return text;
  }

  private void add(Member member, CaptionText captions) {
    member.notes().forEach((note, count) -> notes.merge(note, count, Integer::sum));
    member.problems().forEach(p -> lines.add(member.key() + ": " + p.reason()));
    member.problems().forEach(p -> details.add(p.detail()));
    if (member.picture() == null) {
      return;
    }
    String picture = member.picture().name();
    if (member.captions().isEmpty()) {
      lines.add(picture + ": " + Problem.NO_CAPTION);
    }
    for (Member.Caption caption : member.captions()) {
      Problem problem =
          member.picture().problem() == null
              ? captions.problem(caption)
              : member.picture().problem();
      lines.add(
          problem == null
              ? picture + " = " + captions.stored(caption)
              : picture + ": " + problem.reason());
      if (problem != null) {
        details.add(problem.detail());
      }
    }
    if (member.picture().bytes() != null) {
      pictures.add(member.picture().bytes());
    }
  }

  /** {@code picture = caption} of a pair, {@code place: reason} of a reject. */
  List<String> lines() {
    return lines;
  }

  /** Why rejects are rejects. */
  List<String> details() {
    return details;
  }

  List<byte[]> pictures() {
    return pictures;
  }

  Map<Note, Integer> notes() {
    return notes;
  }
}
