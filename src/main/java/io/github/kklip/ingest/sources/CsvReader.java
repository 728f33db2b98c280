package io.github.kklip.ingest.sources;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.IngestSettings;
import io.github.kklip.ingest.sources.Member.Caption;
import io.github.kklip.store.publication.Storage;
import java.io.BufferedReader;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.apache.commons.csv.CSVFormat;
import org.apache.commons.csv.CSVParser;
import org.apache.commons.csv.CSVRecord;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * Tables as open_clip reads them: a header, one row for each caption, paths of images relative to
 * the table. Consecutive rows of one image are one member, so that it is read and decoded once.
 */
public final class CsvReader implements SourceReader {
  private static final String DEFAULT_IMAGE_COLUMN = "filepath";
  private static final String DEFAULT_CAPTION_COLUMN = "title";
  private static final int ROWS_PER_UNIT = 512;

  private final String imageColumn;
  private final String captionColumn;
  private final String separator;
  private final long maxBytes;

  public CsvReader(IngestSettings.SourceSettings source, long maxBytes) {
    this.imageColumn = source.imageColumn().isEmpty() ? DEFAULT_IMAGE_COLUMN : source.imageColumn();
    this.captionColumn =
        source.captionColumn().isEmpty() ? DEFAULT_CAPTION_COLUMN : source.captionColumn();
    this.separator = source.separator();
    this.maxBytes = maxBytes;
  }

  @Override
  public List<Unit> plan(Configuration configuration, Unit file) throws IOException {
    List<Unit> units = new ArrayList<>();
    try (Table table = new Table(configuration, file.path(), 0, null)) {
      table.columns();
      long rows = 0;
      long from = 0;
      for (CSVRecord row = table.next(); row != null; row = table.next()) {
        if (rows == ROWS_PER_UNIT) {
          units.add(new Unit(file.source(), file.path(), units.size(), from, rows, List.of()));
          rows = 0;
        }
        if (rows == 0) {
          from = table.start(row);
        }
        rows++;
      }
      if (rows > 0) {
        units.add(new Unit(file.source(), file.path(), units.size(), from, rows, List.of()));
      }
      return units;
    } catch (TableException | MalformedException e) {
      // Reading it whole gives the rows before the problem and then the problem.
      return List.of(Unit.whole(file.source(), file.path()));
    }
  }

  @Override
  public Members open(Configuration configuration, Unit unit) throws IOException {
    Table header = null;
    try {
      header = new Table(configuration, unit.path(), 0, null);
      CsvColumns columns = header.columns();
      if (unit.count() == 0) {
        return new CsvRows(configuration, unit, header, columns);
      }
      char used = header.separator;
      header.close();
      return new CsvRows(
          configuration, unit, new Table(configuration, unit.path(), unit.from(), used), columns);
    } catch (TableException e) {
      header.close();
      return Members.of(Member.problem("", Problem.SCHEMA, e.getMessage()));
    } catch (MalformedException e) {
      header.close();
      return Members.of(Member.problem("", Problem.CSV_MALFORMED, e.getMessage()));
    }
  }

  private record CsvColumns(int image, int caption) {}

  /** The table has not the columns that are needed. */
  private static final class TableException extends Exception {
    private static final long serialVersionUID = 1L;

    TableException(String message) {
      super(message);
    }
  }

  /** The quoting is broken, and what follows cannot be told apart. */
  private static final class MalformedException extends Exception {
    private static final long serialVersionUID = 1L;

    MalformedException(Throwable cause) {
      super(cause.getMessage(), cause);
    }
  }

  /**
   * The records of a table from a byte on. It is decoded as Latin-1, one byte a character, so that
   * positions are bytes and one bad row does not spoil the others; texts are decoded as UTF-8
   * later.
   */
  private final class Table implements Closeable {
    final char separator;
    private final long from;
    private final BufferedReader reader;
    private CSVParser parser;
    private Iterator<CSVRecord> records;

    Table(Configuration configuration, String path, long from, Character knownSeparator)
        throws IOException {
      this.from = from;
      this.reader =
          new BufferedReader(
              new InputStreamReader(
                  RawInput.openListed(configuration, new Path(path), from),
                  StandardCharsets.ISO_8859_1),
              1 << 16);
      this.separator = knownSeparator == null ? separator() : knownSeparator;
    }

    private char separator() throws IOException {
      if (!CsvReader.this.separator.isEmpty()) {
        return CsvReader.this.separator.charAt(0);
      }
      reader.mark(1 << 16);
      char[] start = new char[1 << 15];
      int length = Math.max(0, reader.read(start));
      reader.reset();
      String header = new String(start, 0, length);
      int end = header.indexOf('\n');
      return (end < 0 ? header : header.substring(0, end)).indexOf('\t') >= 0 ? '\t' : ',';
    }

    CSVRecord next() throws MalformedException {
      try {
        if (parser == null) {
          CSVFormat format =
              CSVFormat.DEFAULT
                  .builder()
                  .setDelimiter(separator)
                  .setIgnoreEmptyLines(true)
                  .setLenientEof(true)
                  .setTrailingData(true)
                  .get();
          parser = CSVParser.parse(reader, format);
          records = parser.iterator();
        }
        return records.hasNext() ? records.next() : null;
      } catch (RawInput.Failure e) {
        throw e;
      } catch (UncheckedIOException e) {
        throw new MalformedException(e.getCause());
      } catch (IOException | IllegalStateException e) {
        throw new MalformedException(e);
      }
    }

    long start(CSVRecord row) {
      return from + row.getCharacterPosition();
    }

    CsvColumns columns() throws TableException, MalformedException {
      CSVRecord header = next();
      List<String> names = new ArrayList<>();
      if (header != null) {
        header.forEach(cell -> names.add(String.valueOf(text(cell)).strip()));
      }
      CsvColumns columns = new CsvColumns(names.indexOf(imageColumn), names.indexOf(captionColumn));
      if (columns.image < 0 || columns.caption < 0) {
        throw new TableException(
            message(
                "the table has the columns %s, and %s and %s are needed: set image-column and caption-column",
                names, imageColumn, captionColumn));
      }
      return columns;
    }

    @Override
    public void close() throws IOException {
      reader.close();
    }
  }

  /** UTF-8 text of a cell that was decoded as Latin-1; null when it is not UTF-8. */
  private static String text(String cell) {
    return MemberContent.utf8(cell.getBytes(StandardCharsets.ISO_8859_1));
  }

  private final class CsvRows implements Members {
    private final Configuration configuration;
    private final Path folder;
    private final Unit unit;
    private final Table table;
    private final CsvColumns columns;
    private CSVRecord ahead;
    private long read;
    private boolean broken;

    CsvRows(Configuration configuration, Unit unit, Table table, CsvColumns columns) {
      this.configuration = configuration;
      this.folder = new Path(unit.path()).getParent();
      this.unit = unit;
      this.table = table;
      this.columns = columns;
    }

    @Override
    public Member next() throws IOException {
      if (broken) {
        return null;
      }
      try {
        CSVRecord row = ahead != null ? ahead : advance();
        ahead = null;
        if (row == null) {
          return null;
        }
        if (row.size() <= Math.max(columns.image, columns.caption)) {
          return Member.problem(
              key(row), Problem.CSV_MALFORMED, "the row has " + row.size() + " columns");
        }
        return member(row);
      } catch (MalformedException e) {
        return malformed(e);
      }
    }

    private Member member(CSVRecord first) throws IOException {
      String cell = first.get(columns.image);
      List<Caption> captions = new ArrayList<>();
      Member rest = null;
      captions.add(caption(first));
      try {
        ahead = advance();
        while (ahead != null
            && ahead.size() > Math.max(columns.image, columns.caption)
            && ahead.get(columns.image).equals(cell)) {
          captions.add(caption(ahead));
          ahead = advance();
        }
      } catch (MalformedException e) {
        ahead = null;
        rest = malformed(e);
      }
      String name = text(cell);
      Member.Picture picture =
          name == null || name.isBlank()
              ? Member.Picture.broken(
                  "", new Problem(Problem.MISSING_FILE, "the row names no file"))
              : picture(name.strip());
      return new Member(
          key(first), picture, captions, Map.of(), rest == null ? List.of() : rest.problems());
    }

    private Member.Picture picture(String name) throws IOException {
      try {
        return MemberContent.picture(
            RawInput.open(configuration, resolve(name), 0), name, maxBytes);
      } catch (RawInput.OpeningException e) {
        return Member.Picture.broken(name, e.problem());
      } catch (IllegalArgumentException e) {
        return Member.Picture.broken(
            name, new Problem(Problem.MISSING_FILE, "not a path: " + e.getMessage()));
      }
    }

    /** A path with a scheme or from the root stays as it is. */
    private Path resolve(String name) {
      return name.contains("://") || name.startsWith("/")
          ? Storage.path(name, configuration)
          : new Path(folder, new Path(null, null, name));
    }

    private Caption caption(CSVRecord row) {
      String text = text(row.get(columns.caption));
      return text == null
          ? Caption.broken(key(row), MemberContent.encodingProblem())
          : Caption.of(key(row), text);
    }

    private CSVRecord advance() throws MalformedException {
      if (unit.count() > 0 && read == unit.count()) {
        return null;
      }
      read++;
      return table.next();
    }

    private Member malformed(MalformedException e) {
      broken = true;
      return Member.problem("byte " + unit.from(), Problem.CSV_MALFORMED, e.getMessage());
    }

    /** The byte where a row starts finds it in a table of any size. */
    private String key(CSVRecord row) {
      return "byte " + table.start(row);
    }

    @Override
    public void close() throws IOException {
      table.close();
    }
  }
}
