package io.github.kklip.ingest.sources;

import static io.github.kklip.config.Message.message;

import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * The rows of a table, one after the other, from any row on.
 *
 * <p>A cell that begins with the quote character ends at the next quote, which the end of the cell
 * must follow; two quotes within it are one, and it may hold separators and ends of lines. A quoted
 * cell that does not end so, that goes on for more than a bound after its first line, or that the
 * file ends in, has no right reading: its row is the one line with which it begins, a malformed
 * one, and reading goes on with the next line. What is a row so depends on the bytes that follow
 * alone, wherever reading has begun.
 *
 * <p>A quote within a cell that does not begin with one is a character. Lines without any character
 * are no rows.
 */
final class Records implements Closeable {
  /** Neither a separator nor a quote nor an escape: no byte is this number. */
  static final int NONE = Integer.MIN_VALUE;

  /**
   * How cells and rows are told apart.
   *
   * @param separator a byte, or {@link #NONE}; as are the others
   * @param escape makes the byte that follows it a character of the cell
   * @param returns whether lines end with a carriage return alone, not with a line feed that may
   *     follow one
   */
  record Dialect(int separator, int quote, int escape, boolean returns) {
    int lineEnd() {
      return returns ? '\r' : '\n';
    }
  }

  private final InputStream in;
  private final Dialect dialect;
  private final int lineEnd;
  private final long maxBeyondLine;
  private final long maxRow;

  private byte[] buffer = new byte[1 << 16];
  private int at;
  private int limit;
  private boolean ended;

  /** Position of the buffer's first byte. */
  private long base;

  /** What is from here on stays in the buffer. */
  private int mark;

  private long line;

  private long rowStart;
  private long rowLine;

  /** After the first line of the row; -1 while it has but one. */
  private long secondLine;

  private byte[] cellBytes = new byte[1 << 10];
  private int[] ends = new int[16];
  private int cells;
  private int used;
  private Problem problem;

  /**
   * @param from position of the stream's first byte
   * @param line its line, from 1
   * @param maxBeyondLine bytes of a quoted cell after its first line
   * @param maxRow bytes of a row, which are in memory
   */
  Records(InputStream in, Dialect dialect, long from, long line, long maxBeyondLine, long maxRow) {
    this.in = in;
    this.dialect = dialect;
    this.lineEnd = dialect.lineEnd();
    this.base = from;
    this.line = line;
    this.maxBeyondLine = maxBeyondLine;
    this.maxRow = maxRow;
  }

  /** The byte with which the row begins. */
  long start() {
    return rowStart;
  }

  /** The line with which the row begins, from 1. */
  long line() {
    return rowLine;
  }

  /** The line with which the next row begins, or a blank line before it. */
  long nextLine() {
    return line;
  }

  /** The byte after the row. */
  long end() {
    return base + at;
  }

  /** Why the row has no cells, or null. */
  Problem problem() {
    return problem;
  }

  int cells() {
    return cells;
  }

  /** The text of a cell of the row; null when it is not of the charset. */
  String text(int cell, Charset charset) {
    int from = cell == 0 ? 0 : ends[cell - 1];
    if (isAscii(from, ends[cell])) {
      return new String(cellBytes, from, ends[cell] - from, StandardCharsets.ISO_8859_1);
    }
    try {
      return charset
          .newDecoder()
          .decode(ByteBuffer.wrap(cellBytes, from, ends[cell] - from))
          .toString();
    } catch (CharacterCodingException e) {
      return null;
    }
  }

  private boolean isAscii(int from, int to) {
    int all = 0;
    for (int i = from; i < to; i++) {
      all |= cellBytes[i];
    }
    return all >= 0;
  }

  /**
   * Goes on to the next row; false after the last.
   *
   * @throws IOException when the file is damaged
   */
  boolean next() throws IOException {
    mark = at;
    while (more() && endsLine()) {
      at++;
      line++;
      mark = at;
    }
    if (!more()) {
      return false;
    }
    rowStart = base + at;
    rowLine = line;
    secondLine = -1;
    problem = null;
    cells = 0;
    used = 0;
    while (true) {
      boolean isQuoted = more() && buffer[at] == dialect.quote;
      boolean whole = isQuoted ? quoted() : plain();
      if (!whole) {
        afterFirstLine();
        return true;
      }
      endCell();
      if (!more()) {
        return true;
      }
      if (buffer[at++] != dialect.separator) {
        line++;
        return true;
      }
    }
  }

  /** Whether a line ends here; a carriage return before its line feed is passed. */
  private boolean endsLine() throws IOException {
    if (buffer[at] == lineEnd) {
      return true;
    }
    if (buffer[at] != '\r' || dialect.returns) {
      return false;
    }
    if (at + 1 == limit && !fill()) {
      return false;
    }
    if (buffer[at + 1] == '\n') {
      at++;
      return true;
    }
    return false;
  }

  private boolean plain() throws IOException {
    int separator = dialect.separator;
    int escape = dialect.escape;
    int begin = used;
    while (true) {
      int i = at;
      while (i < limit) {
        byte b = buffer[i];
        if (b == separator || b == lineEnd || b == escape) {
          break;
        }
        i++;
      }
      append(i);
      if (i == limit) {
        if (isTooLong()) {
          return false;
        }
        if (!fill()) {
          return true;
        }
      } else if (buffer[i] == escape) {
        escaped();
      } else {
        boolean feed = buffer[i] == '\n' && lineEnd == '\n';
        used -= feed && used > begin && cellBytes[used - 1] == '\r' ? 1 : 0;
        return true;
      }
    }
  }

  private boolean quoted() throws IOException {
    int quote = dialect.quote;
    int escape = dialect.escape;
    long firstEnd = -1;
    at++;
    while (true) {
      int i = at;
      while (i < limit) {
        byte b = buffer[i];
        if (b == quote || b == lineEnd || b == escape) {
          break;
        }
        i++;
      }
      append(i);
      if (firstEnd >= 0 && base + at - firstEnd > maxBeyondLine) {
        return malformed(
            message(
                "a quoted cell goes on for more than %s bytes after its first line",
                maxBeyondLine));
      }
      if (i == limit) {
        if (isTooLong()) {
          return false;
        }
        if (!fill()) {
          return malformed("a quoted cell does not end");
        }
      } else if (buffer[i] == quote) {
        at++;
        if (!more() || buffer[at] == dialect.separator || endsLine()) {
          return true;
        }
        if (buffer[at] != quote) {
          return malformed("a quoted cell goes on after its second quote");
        }
        append(at + 1);
      } else if (buffer[i] == lineEnd) {
        append(at + 1);
        newLine();
        firstEnd = firstEnd < 0 ? base + at : firstEnd;
      } else {
        escaped();
      }
    }
  }

  private void escaped() throws IOException {
    at++;
    if (more()) {
      boolean ends = buffer[at] == lineEnd;
      append(at + 1);
      if (ends) {
        newLine();
      }
    }
  }

  private void newLine() {
    line++;
    secondLine = secondLine < 0 ? base + at : secondLine;
  }

  private boolean malformed(String detail) {
    problem = new Problem(Problem.CSV_MALFORMED, detail);
    return false;
  }

  private boolean isTooLong() {
    if (limit - mark <= maxRow) {
      return false;
    }
    problem = MemberContent.tooLarge(maxRow);
    return true;
  }

  /** The row is its first line: what follows it is read again. */
  private void afterFirstLine() throws IOException {
    cells = 0;
    line = rowLine + 1;
    if (secondLine >= 0) {
      at = (int) (secondLine - base);
      return;
    }
    mark = at;
    while (more() && buffer[at] != lineEnd) {
      mark = ++at;
    }
    at += more() ? 1 : 0;
  }

  private void endCell() {
    if (cells == ends.length) {
      ends = Arrays.copyOf(ends, 2 * cells);
    }
    ends[cells++] = used;
  }

  /** The bytes of the buffer up to {@code to} are the cell's. */
  private void append(int to) {
    int count = to - at;
    if (used + count > cellBytes.length) {
      cellBytes = Arrays.copyOf(cellBytes, Math.max(used + count, 2 * cellBytes.length));
    }
    System.arraycopy(buffer, at, cellBytes, used, count);
    used += count;
    at = to;
  }

  private boolean more() throws IOException {
    return at < limit || fill();
  }

  private boolean fill() throws IOException {
    if (ended) {
      return false;
    }
    if (mark > 0) {
      System.arraycopy(buffer, mark, buffer, 0, limit - mark);
      base += mark;
      at -= mark;
      limit -= mark;
      mark = 0;
    }
    if (limit == buffer.length) {
      buffer = Arrays.copyOf(buffer, 2 * buffer.length);
    }
    int read;
    do {
      read = in.read(buffer, limit, buffer.length - limit);
    } while (read == 0);
    ended = read < 0;
    limit += Math.max(0, read);
    return read > 0;
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
