package io.github.kklip.ingest.sources;

import static io.github.kklip.config.Message.message;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import io.github.kklip.config.IngestSettings;
import io.github.kklip.ingest.sources.TextFile.NotTextException;
import java.io.IOException;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * JSON Lines, an object in each line, as Hugging Face's {@code metadata.jsonl} is: the name of an
 * image file ({@link ImageFiles}) and a caption or a list of captions.
 */
final class JsonLinesReader implements SourceReader {
  private static final List<String> IMAGE_FIELDS = List.of("file_name");
  private static final List<String> CAPTION_FIELDS = List.of("text", "caption", "captions");

  /** So many rows are looked at for the fields that are needed. */
  private static final int ROWS_LOOKED_AT = 100;

  private static final int MOST_ROW_BYTES = 256 << 20;

  private static final Records.Dialect LINES =
      new Records.Dialect(Records.NONE, Records.NONE, Records.NONE, false);

  private final IngestSettings.SourceSettings source;
  private final IngestSettings limits;
  private final List<String> imageFields;
  private final List<String> captionFields;

  JsonLinesReader(IngestSettings.SourceSettings source, IngestSettings limits) {
    this.source = source;
    this.limits = limits;
    this.imageFields =
        source.imageColumn().isEmpty() ? IMAGE_FIELDS : List.of(source.imageColumn());
    this.captionFields =
        source.captionColumn().isEmpty() ? CAPTION_FIELDS : List.of(source.captionColumn());
  }

  @Override
  public List<Unit> plan(Configuration configuration, Unit file) throws IOException {
    TextFile text;
    try {
      text = TextFile.of(configuration, new Path(file.path()), "auto", limits);
    } catch (NotTextException e) {
      return List.of(file);
    }
    if (schemaProblem(text) != null) {
      return List.of(file);
    }
    RowUnits units = new RowUnits();
    boolean damaged = false;
    try (Records rows = records(text, text.begin(), 1)) {
      while (rows.next()) {
        units.row(rows.start(), rows.line());
      }
    } catch (IOException e) {
      damaged = true;
    }
    return units.of(file, text.isSeekable(), damaged);
  }

  private Records records(TextFile text, long from, long line) throws IOException {
    long most = Math.min(MOST_ROW_BYTES, limits.images().maxBytes());
    return new Records(text.open(from), LINES, from, line, 0, most);
  }

  /** What all of the first rows lack, or null. */
  private String schemaProblem(TextFile text) {
    Set<String> found = new LinkedHashSet<>();
    boolean any = false;
    boolean image = false;
    boolean caption = false;
    String first = "";
    try (Records rows = records(text, text.begin(), 1)) {
      for (int row = 0; row < ROWS_LOOKED_AT && rows.next(); row++) {
        any = true;
        String line = rows.problem() == null ? rows.text(0, text.read()) : null;
        first = row == 0 && line != null ? line.strip() : first;
        JsonNode object = line == null ? null : object(line);
        if (object != null) {
          found.addAll(JsonFields.names(object));
          image |= JsonFields.find(object, imageFields) != null;
          caption |= JsonFields.find(object, captionFields) != null;
        }
      }
    } catch (IOException e) {
      return null;
    }
    if (any && found.isEmpty()) {
      return message(
          "the file has not a JSON object in each line%s",
          first.startsWith("[")
              ? " but one array: write each of its elements in a line, or read LLaVA's form as a llava source"
              : "");
    }
    return !any || (image && caption)
        ? null
        : message(
            "the rows have the fields %s, and %s and one of %s are needed: set image-column and caption-column, with dots for nested fields",
            found, imageFields.get(0), captionFields);
  }

  private static JsonNode object(String line) {
    try {
      JsonNode value = JsonFields.MAPPER.readTree(line);
      return value.isObject() ? value : null;
    } catch (JsonProcessingException e) {
      return null;
    }
  }

  @Override
  public Members open(Configuration configuration, Unit unit) throws IOException {
    Path path = new Path(unit.path());
    try {
      TextFile text = TextFile.of(configuration, path, "auto", limits);
      boolean whole = unit.names().isEmpty();
      String problem = whole ? schemaProblem(text) : null;
      if (problem != null) {
        return Members.of(Member.problem("", Problem.SCHEMA, problem));
      }
      return new Lines(
          text,
          records(text, whole ? text.begin() : unit.from(), RowUnits.line(unit)),
          unit.count(),
          ImageFiles.of(configuration, source, path, limits.images().maxBytes()));
    } catch (NotTextException e) {
      return Members.of(Member.problem("", e.problem().reason(), e.problem().detail()));
    } catch (IOException e) {
      return Members.of(Member.problem("", Problem.CUT_SHORT, TextFile.detail(e)));
    }
  }

  private final class Lines implements Members {
    private final TextFile text;
    private final Records rows;
    private final long count;
    private final ImageFiles images;
    private long read;
    private boolean damaged;

    Lines(TextFile text, Records rows, long count, ImageFiles images) {
      this.text = text;
      this.rows = rows;
      this.count = count;
      this.images = images;
    }

    @Override
    public Member next() throws IOException {
      if (damaged || (count > 0 && read == count)) {
        return null;
      }
      try {
        if (!rows.next()) {
          return null;
        }
      } catch (IOException e) {
        damaged = true;
        return Member.problem("", Problem.CUT_SHORT, TextFile.detail(e));
      }
      read++;
      String key = "line " + rows.line();
      if (rows.problem() != null) {
        return Member.problem(key, rows.problem().reason(), rows.problem().detail());
      }
      String line = rows.text(0, text.read());
      if (line == null) {
        return Member.problem(
            key,
            MemberContent.encodingProblem().reason(),
            MemberContent.encodingProblem().detail());
      }
      JsonNode object;
      try {
        object = JsonFields.MAPPER.readTree(line);
      } catch (JsonProcessingException e) {
        return Member.problem(key, Problem.JSON_MALFORMED, e.getOriginalMessage());
      }
      if (!object.isObject()) {
        return Member.problem(key, Problem.JSON_MALFORMED, "the line is not a JSON object");
      }
      return Member.of(
          key,
          JsonFields.picture(JsonFields.find(object, imageFields), images),
          JsonFields.captions(JsonFields.find(object, captionFields), key));
    }

    @Override
    public void close() throws IOException {
      rows.close();
    }
  }
}
