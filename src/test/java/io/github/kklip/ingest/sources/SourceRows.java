package io.github.kklip.ingest.sources;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.config.Settings;
import io.github.kklip.ingest.sources.Member.Caption;
import io.github.kklip.ingest.sources.Member.Picture;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;

/** What a source gives, without Spark and without looking into the images. */
final class SourceRows {
  /**
   * One candidate.
   *
   * @param reason of a reject; empty for a pair
   * @param text the caption, or the detail of the reject
   */
  record Candidate(String place, String reason, String text) {
    @Override
    public String toString() {
      return place + (reason.isEmpty() ? ": " + text : " " + reason);
    }
  }

  private SourceRows() {}

  /** The candidates of a file in the order of the units, each as {@link Candidate#toString}. */
  static List<String> texts(String format, Path file, String... keys) throws IOException {
    return read(format, file, keys).stream().map(Candidate::toString).toList();
  }

  static List<Candidate> read(String format, Path file, String... keys) throws IOException {
    Settings settings = settings(format, file, keys);
    SourceReader reader = SourceFormats.reader(settings.ingest().sources().get(0), settings);
    Configuration configuration = new Configuration(false);
    List<Candidate> found = new ArrayList<>();
    List<Unit> units = reader.plan(configuration, Unit.whole(0, file.toUri().toString()));
    for (Unit unit : units) {
      found.addAll(read(reader, configuration, Unit.decode(unit.encode())));
    }
    // However a file is cut, its rows are the same.
    if (units.size() > 1) {
      assertThat(read(reader, configuration, Unit.whole(0, file.toUri().toString())))
          .isEqualTo(found);
    }
    return found;
  }

  static Settings settings(String format, Path file, String... keys) {
    return Settings.load(
        List.of(),
        List.of(
            "ingest.max-caption-bytes = 1024",
            "ingest.sources = [{format = %s, path = \"%s\", %s}]"
                .formatted(format, file, String.join(", ", keys))));
  }

  private static List<Candidate> read(SourceReader reader, Configuration configuration, Unit unit)
      throws IOException {
    List<Candidate> found = new ArrayList<>();
    try (Members members = reader.open(configuration, unit)) {
      for (Member member = members.next(); member != null; member = members.next()) {
        Picture picture = member.picture();
        if (picture != null) {
          if (member.captions().isEmpty()) {
            found.add(new Candidate(place(member, picture), Problem.NO_CAPTION, ""));
          }
          for (Caption caption : member.captions()) {
            found.add(candidate(place(member, picture), picture, caption));
          }
        }
        for (Problem problem : member.problems()) {
          found.add(new Candidate(member.key(), problem.reason(), problem.detail()));
        }
      }
    }
    return found;
  }

  private static String place(Member member, Picture picture) {
    return picture.name().isEmpty() ? member.key() : picture.name();
  }

  private static Candidate candidate(String place, Picture picture, Caption caption) {
    Problem problem = picture.problem() == null ? caption.problem() : picture.problem();
    return problem == null
        ? new Candidate(place, "", caption.text())
        : new Candidate(place + " " + caption.name(), problem.reason(), problem.detail());
  }
}
