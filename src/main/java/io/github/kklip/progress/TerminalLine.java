package io.github.kklip.progress;

import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.Charset;

/**
 * The last line of a terminal, rewritten in place. What others print to standard error goes above
 * it.
 */
final class TerminalLine {
  /** Columns of the terminal; not set where standard error is none. */
  private static final String COLUMNS = "kklip.terminal";

  /** The file that has the log while the terminal has the line. */
  private static final String LOG_FILE = "kklip.log";

  private static final int USUAL_COLUMNS = 80;
  private static final int FEWEST_COLUMNS = 20;
  private static final String ERASE_TO_END = "\u001b[K";

  private final PrintStream out;
  private final int columns;
  private String last = "";
  private boolean shown;
  private boolean midLine;

  TerminalLine(PrintStream out, int columns) {
    this.out = out;
    this.columns = columns;
  }

  /** That of standard error, which it takes over; null where the launcher found no terminal. */
  static TerminalLine ofProcess() {
    String columns = System.getProperty(COLUMNS, "");
    if (columns.isEmpty()) {
      return null;
    }
    TerminalLine line = new TerminalLine(System.err, width(columns));
    System.setErr(line.stream());
    String log = System.getProperty(LOG_FILE, "");
    if (!log.isEmpty()) {
      line.keep("kklip: the log is in " + log);
    }
    return line;
  }

  static int width(String columns) {
    try {
      int width = Integer.parseInt(columns.strip());
      return width < FEWEST_COLUMNS ? USUAL_COLUMNS : width;
    } catch (NumberFormatException e) {
      return USUAL_COLUMNS;
    }
  }

  /** Rewrites the line. A longer one than the terminal is wide would not be rewritten whole. */
  synchronized void show(String text) {
    if (shown && text.equals(last)) {
      return;
    }
    leaveOthersLine();
    out.print("\r" + text.substring(0, Math.min(text.length(), columns - 1)) + ERASE_TO_END);
    out.flush();
    shown = true;
    last = text;
  }

  /** Writes a line that stays. */
  synchronized void keep(String text) {
    leaveOthersLine();
    out.print((shown ? "\r" + text + ERASE_TO_END : text) + "\n");
    out.flush();
    shown = false;
  }

  private void leaveOthersLine() {
    if (midLine) {
      out.print("\n");
      midLine = false;
    }
  }

  /** For everything else that is printed there. */
  PrintStream stream() {
    return new PrintStream(
        new OutputStream() {
          @Override
          public void write(int b) {
            write(new byte[] {(byte) b}, 0, 1);
          }

          @Override
          public void write(byte[] bytes, int from, int length) {
            print(bytes, from, length);
          }
        },
        true,
        Charset.defaultCharset());
  }

  private synchronized void print(byte[] bytes, int from, int length) {
    if (length == 0) {
      return;
    }
    if (shown) {
      out.print("\r" + ERASE_TO_END);
      shown = false;
    }
    out.write(bytes, from, length);
    out.flush();
    midLine = bytes[from + length - 1] != '\n';
  }
}
