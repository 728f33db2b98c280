package io.github.kklip.ingest.sources;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.IngestSettings;
import io.github.kklip.ingest.sources.Member.Caption;
import io.github.kklip.ingest.sources.TextFile.NotTextException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * Tables as open_clip reads them: a header, one row for each caption, paths of images relative to
 * the table ({@link ImageFiles}). Consecutive rows of one image are one member, so that it is read
 * and decoded once. A row with more or fewer cells than the header is a reject, as is one whose
 * quotes have no right reading ({@link Records}).
 */
public final class CsvReader implements SourceReader {
  private static final String DEFAULT_IMAGE_COLUMN = "filepath";
  private static final String DEFAULT_CAPTION_COLUMN = "title";

  /** Where the end of the first line is looked for. */
  private static final int FIRST_LINE = 1 << 16;

  private static final int MOST_ROW_BYTES = 256 << 20;

  /** What pandas takes for a missing value unless it is told otherwise. */
  private static final Set<String> MISSING =
      Set.of(
          "#N/A",
          "#N/A N/A",
          "#NA",
          "-1.#IND",
          "-1.#QNAN",
          "-NaN",
          "-nan",
          "1.#IND",
          "1.#QNAN",
          "<NA>",
          "N/A",
          "NA",
          "NULL",
          "NaN",
          "None",
          "n/a",
          "nan",
          "null");

  private final IngestSettings.SourceSettings source;
  private final IngestSettings limits;

  public CsvReader(IngestSettings.SourceSettings source, IngestSettings limits) {
    this.source = source;
    this.limits = limits;
  }

  @Override
  public List<Unit> plan(Configuration configuration, Unit file) throws IOException {
    Table table;
    try {
      table = table(configuration, new Path(file.path()));
    } catch (NotTextException | TableException e) {
      return List.of(Unit.whole(file.source(), file.path()));
    }
    RowUnits units = new RowUnits();
    boolean damaged = false;
    try (Records rows = table.rows(table.rowsBegin, table.rowsLine)) {
      while (rows.next()) {
        units.row(rows.start(), rows.line());
      }
    } catch (IOException e) {
      damaged = true;
    }
    return units.of(file, table.file.isSeekable(), damaged);
  }

  @Override
  public Members open(Configuration configuration, Unit unit) throws IOException {
    Path path = new Path(unit.path());
    try {
      Table table = table(configuration, path);
      boolean whole = unit.names().isEmpty();
      ImageFiles images = ImageFiles.of(configuration, source, path, limits.images().maxBytes());
      return new CsvRows(
          table,
          images,
          table.rows(
              whole ? table.rowsBegin : unit.from(), whole ? table.rowsLine : RowUnits.line(unit)),
          unit.count());
    } catch (NotTextException e) {
      return Members.of(Member.problem("", e.problem().reason(), e.problem().detail()));
    } catch (TableException e) {
      return Members.of(Member.problem("", e.problem.reason(), e.problem.detail()));
    } catch (IOException e) {
      return Members.of(Member.problem("", Problem.CUT_SHORT, TextFile.detail(e)));
    }
  }

  /** The table has not the columns that are needed. */
  private static final class TableException extends Exception {
    private static final long serialVersionUID = 1L;

    private final transient Problem problem;

    TableException(Problem problem) {
      super(problem.detail());
      this.problem = problem;
    }
  }

  /**
   * A table whose header is known.
   *
   * @param width the header's cells
   * @param rowsBegin the byte after the header
   * @param rowsLine the line after it
   */
  private record Table(
      TextFile file,
      Records.Dialect dialect,
      IngestSettings limits,
      int image,
      int caption,
      int width,
      long rowsBegin,
      long rowsLine) {
    Records rows(long from, long line) throws IOException {
      return records(file, dialect, limits, from, line);
    }
  }

  private static Records records(
      TextFile file, Records.Dialect dialect, IngestSettings limits, long from, long line)
      throws IOException {
    return new Records(
        file.open(from),
        dialect,
        from,
        line,
        limits.captions().maxCaptionBytes(),
        Math.min(MOST_ROW_BYTES, limits.images().maxBytes()));
  }

  private Table table(Configuration configuration, Path path)
      throws NotTextException, TableException {
    TextFile file = TextFile.of(configuration, path, source.encoding(), limits);
    try {
      Records.Dialect dialect = dialect(file);
      List<String> names = new ArrayList<>();
      long begin = file.begin();
      long line = 1;
      boolean given = !source.header().equals("true") && !source.header().equals("false");
      if (given) {
        names.addAll(Arrays.stream(source.header().split(",", -1)).map(String::strip).toList());
      } else {
        try (Records rows = records(file, dialect, limits, begin, line)) {
          boolean found = rows.next();
          if (found && rows.problem() != null) {
            throw new TableException(
                new Problem(
                    rows.problem().reason(), message("the header: %s", rows.problem().detail())));
          }
          for (int cell = 0; found && cell < rows.cells(); cell++) {
            names.add(
                source.header().equals("false")
                    ? Integer.toString(cell + 1)
                    : String.valueOf(rows.text(cell, file.read())).strip());
          }
          if (found && source.header().equals("true")) {
            begin = rows.end();
            line = rows.nextLine();
          }
        }
      }
      return new Table(
          file,
          dialect,
          limits,
          column(names, source.imageColumn(), DEFAULT_IMAGE_COLUMN),
          column(names, source.captionColumn(), DEFAULT_CAPTION_COLUMN),
          names.size(),
          begin,
          line);
    } catch (IOException e) {
      throw new NotTextException(new Problem(Problem.CUT_SHORT, TextFile.detail(e)));
    }
  }

  private int column(List<String> names, String given, String usual) throws TableException {
    String name = given.isEmpty() ? usual : given;
    int column = names.indexOf(name);
    if (column < 0) {
      String image = source.imageColumn().isEmpty() ? DEFAULT_IMAGE_COLUMN : source.imageColumn();
      String caption =
          source.captionColumn().isEmpty() ? DEFAULT_CAPTION_COLUMN : source.captionColumn();
      throw new TableException(
          new Problem(
              Problem.SCHEMA,
              message(
                  "the table has the columns %s, and %s and %s are needed: set image-column and caption-column, and header to the names of the columns where the first row is none",
                  names, image, caption)));
    }
    if (column != names.lastIndexOf(name)) {
      throw new TableException(
          new Problem(
              Problem.SCHEMA,
              message("the table has the column %s twice: %s. Name them by header", name, names)));
    }
    return column;
  }

  /** By the settings, the name of the file and its first line. */
  private Records.Dialect dialect(TextFile file) throws IOException {
    String text = new String(file.start(file.begin(), FIRST_LINE), StandardCharsets.ISO_8859_1);
    int end =
        IntStream.range(0, text.length()).filter(i -> isLineEnd(text, i)).findFirst().orElse(-1);
    boolean returns = end >= 0 && text.charAt(end) == '\r' && !text.startsWith("\n", end + 1);
    boolean tabs = file.endsWith(".tsv");
    boolean tabbed = (end < 0 ? text : text.substring(0, end)).indexOf('\t') >= 0;
    int separator =
        source.separator().isEmpty() ? (tabs || tabbed ? '\t' : ',') : source.separator().charAt(0);
    int quote =
        switch (source.quote()) {
          case "auto" -> tabs ? Records.NONE : '"';
          case "" -> Records.NONE;
          default -> source.quote().charAt(0);
        };
    int escape = source.escape().isEmpty() ? Records.NONE : source.escape().charAt(0);
    return new Records.Dialect(separator, quote, escape, returns);
  }

  private static boolean isLineEnd(String text, int at) {
    return text.charAt(at) == '\n' || text.charAt(at) == '\r';
  }

  /** A row, with its image as it is written; null where it is not text. */
  private record TableRow(String key, String image, Caption caption, Problem problem) {}

  private static final class CsvRows implements Members {
    private final Table table;
    private final ImageFiles images;
    private final Records rows;
    private final long count;
    private TableRow ahead;
    private long read;
    private boolean damaged;

    /** Told after the last row. */
    private Problem damage;

    CsvRows(Table table, ImageFiles images, Records rows, long count) {
      this.table = table;
      this.images = images;
      this.rows = rows;
      this.count = count;
    }

    @Override
    public Member next() throws IOException {
      TableRow row = ahead == null ? advance() : ahead;
      ahead = null;
      if (row == null) {
        Problem last = damage;
        damage = null;
        return last == null ? null : Member.problem("", last.reason(), last.detail());
      }
      if (row.problem() != null) {
        return Member.problem(row.key(), row.problem().reason(), row.problem().detail());
      }
      List<Caption> captions = new ArrayList<>();
      captions.add(row.caption());
      ahead = advance();
      while (ahead != null && ahead.problem() == null && ahead.image().equals(row.image())) {
        captions.add(ahead.caption());
        ahead = advance();
      }
      return Member.of(row.key(), images.picture(row.image()), captions);
    }

    private TableRow advance() {
      if (damaged || (count > 0 && read == count)) {
        return null;
      }
      try {
        if (!rows.next()) {
          return null;
        }
      } catch (IOException e) {
        damaged = true;
        damage = new Problem(Problem.CUT_SHORT, TextFile.detail(e));
        return null;
      }
      read++;
      String key = "line " + rows.line();
      if (rows.problem() != null) {
        return new TableRow(key, null, null, rows.problem());
      }
      if (rows.cells() != table.width()) {
        return new TableRow(
            key,
            null,
            null,
            new Problem(
                Problem.CSV_MALFORMED,
                message(
                    "the row has %s cells and the header %s: a cell that holds the separator must be quoted",
                    rows.cells(), table.width())));
      }
      String image = rows.text(table.image(), table.file().read());
      return image == null
          ? new TableRow(
              key,
              null,
              null,
              new Problem(Problem.MISSING_FILE, "the name of the image is not of the encoding"))
          : new TableRow(key, image, caption(key), null);
    }

    private Caption caption(String key) {
      String text = rows.text(table.caption(), table.file().read());
      if (text == null) {
        return Caption.broken(key, MemberContent.encodingProblem());
      }
      String bare = text.strip();
      if (bare.isEmpty() || MISSING.contains(bare)) {
        return Caption.broken(
            key,
            new Problem(
                Problem.CAPTION_MISSING,
                bare.isEmpty()
                    ? "the caption is empty"
                    : message("the caption is %s, a mark of a missing value", bare)));
      }
      return Caption.of(key, text);
    }

    @Override
    public void close() throws IOException {
      rows.close();
    }
  }
}
