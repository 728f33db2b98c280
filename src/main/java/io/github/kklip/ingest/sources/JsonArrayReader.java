package io.github.kklip.ingest.sources;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.kklip.config.IngestSettings;
import io.github.kklip.ingest.sources.TextFile.NotTextException;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/** JSON files of any size whose rows are the elements of one array. */
record JsonArrayReader(Form form, IngestSettings.SourceSettings source, IngestSettings limits)
    implements SourceReader {
  /** What the elements are. */
  interface Form {
    /** The array's field in the file's object; empty: the file itself. */
    String field();

    /**
     * Why no row of the file can be read, or null.
     *
     * @throws IOException when it is damaged or not JSON
     */
    Problem problem(TextFile file) throws IOException;

    /**
     * What is needed to read the rows of a unit.
     *
     * @throws IOException when the file is damaged or not JSON
     */
    Rows rows(TextFile file, Unit unit) throws IOException;
  }

  /** The rows of one unit. */
  interface Rows {
    /**
     * One row.
     *
     * @param key its place
     * @throws IOException when its image cannot be read
     */
    Member member(JsonNode row, String key, ImageFiles images) throws IOException;

    /** What the file has that belongs to no row, if this unit is the one that tells it. */
    List<Member> rest();
  }

  @Override
  public List<Unit> plan(Configuration configuration, Unit file) throws IOException {
    TextFile text;
    try {
      text = TextFile.of(configuration, new Path(file.path()), "auto", limits);
    } catch (NotTextException e) {
      return List.of(file);
    }
    if (problem(text) != null) {
      return List.of(file);
    }
    RowUnits units = new RowUnits();
    boolean damaged = false;
    try (JsonElements elements = JsonElements.of(text, form.field())) {
      for (long row = 0; elements.next() != null; row++) {
        units.row(elements.start(), row);
      }
    } catch (IOException e) {
      damaged = true;
    }
    return units.of(file, text.isSeekable(), damaged);
  }

  private Problem problem(TextFile text) {
    try {
      return form.problem(text);
    } catch (IOException e) {
      return JsonElements.problem(e);
    }
  }

  @Override
  public Members open(Configuration configuration, Unit unit) throws IOException {
    Path path = new Path(unit.path());
    try {
      TextFile text = TextFile.of(configuration, path, "auto", limits);
      boolean whole = unit.names().isEmpty();
      Problem problem = whole ? problem(text) : null;
      if (problem != null) {
        return Members.of(Member.problem("", problem.reason(), problem.detail()));
      }
      Rows rows = form.rows(text, unit);
      return new Elements(
          whole
              ? JsonElements.of(text, form.field())
              : JsonElements.from(text, form.field(), unit.from()),
          unit,
          rows,
          ImageFiles.of(configuration, source, path, limits.images().maxBytes()));
    } catch (NotTextException e) {
      return Members.of(Member.problem("", e.problem().reason(), e.problem().detail()));
    } catch (IOException e) {
      Problem problem = JsonElements.problem(e);
      return Members.of(Member.problem("", problem.reason(), problem.detail()));
    }
  }

  /** The first elements of a unit, which are in memory together. */
  static List<JsonNode> elements(TextFile file, String field, Unit unit) throws IOException {
    List<JsonNode> found = new ArrayList<>();
    try (JsonElements elements =
        unit.names().isEmpty()
            ? JsonElements.of(file, field)
            : JsonElements.from(file, field, unit.from())) {
      for (JsonNode element = elements.next();
          element != null && (unit.count() == 0 || found.size() < unit.count());
          element = elements.next()) {
        found.add(element);
      }
    }
    return found;
  }

  private static final class Elements implements Members {
    private final JsonElements elements;
    private final Unit unit;
    private final Rows rows;
    private final ImageFiles images;
    private final Deque<Member> rest = new ArrayDeque<>();
    private long read;
    private boolean ended;

    Elements(JsonElements elements, Unit unit, Rows rows, ImageFiles images) {
      this.elements = elements;
      this.unit = unit;
      this.rows = rows;
      this.images = images;
    }

    @Override
    public Member next() throws IOException {
      if (!ended) {
        JsonNode row = null;
        try {
          row = unit.count() > 0 && read == unit.count() ? null : elements.next();
        } catch (IOException e) {
          Problem problem = JsonElements.problem(e);
          rest.add(Member.problem("element " + index(), problem.reason(), problem.detail()));
        }
        if (row != null) {
          String key = "element " + index();
          read++;
          return rows.member(row, key, images);
        }
        ended = true;
        rest.addAll(rows.rest());
      }
      return rest.poll();
    }

    private long index() {
      return (unit.names().isEmpty() ? 0 : RowUnits.line(unit)) + read;
    }

    @Override
    public void close() throws IOException {
      elements.close();
    }
  }
}
