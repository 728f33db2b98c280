package io.github.kklip.progress;

import java.util.Locale;

/**
 * A stage's progress in words.
 *
 * @param items name of what the units hold; empty when it is not counted
 * @param rejects participle for what is left out
 * @param elapsed nanoseconds since the stage began
 */
record ProgressLine(
    String name, String unit, String items, String rejects, Reading reading, long elapsed) {
  private static final double NANOS = 1e9;

  /** Slower is told as no rate: the time to go says more. */
  private static final double SLOWEST = 0.005;

  /** While the stage goes on. */
  String running() {
    Counts counts = reading.counts();
    StringBuilder line = new StringBuilder(name).append(": ").append(amount(reading.total() > 0));
    if (reading.total() > 0) {
      line.append(" (").append(100 * done() / reading.total()).append(" %)");
    }
    contents(line);
    rate(line);
    long fresh = done() - counts.before();
    if (reading.total() > 0 && fresh > 0) {
      double left = elapsed / NANOS * (reading.total() - done()) / fresh;
      line.append(", ").append(time(left)).append(" to go");
    }
    note(line);
    return line.toString();
  }

  /** When the stage has done all it had to. */
  String finished() {
    StringBuilder line = new StringBuilder(name).append(": ").append(amount(done() < total()));
    contents(line);
    line.append(" in ").append(time(elapsed / NANOS));
    rate(line);
    note(line);
    return line.toString();
  }

  /** When the stage ended before its end. */
  String stopped() {
    StringBuilder line =
        new StringBuilder(name).append(": stopped at ").append(amount(total() > 0));
    contents(line);
    line.append(" after ").append(time(elapsed / NANOS));
    note(line);
    return line.toString();
  }

  private long total() {
    return reading.total();
  }

  /** Tasks that Spark runs again count again. */
  private long done() {
    return total() > 0 ? Math.min(total(), reading.counts().done()) : reading.counts().done();
  }

  private String amount(boolean ofTotal) {
    return number(done()) + (ofTotal ? " of " + number(total()) : "") + " " + unit;
  }

  private void contents(StringBuilder line) {
    Counts counts = reading.counts();
    if (!items.isEmpty()) {
      line.append(", ").append(number(counts.items())).append(' ').append(items);
    }
    if (counts.rejects() > 0) {
      line.append(", ").append(number(counts.rejects())).append(' ').append(rejects);
    }
  }

  private void rate(StringBuilder line) {
    Counts counts = reading.counts();
    long counted = items.isEmpty() ? done() - counts.before() : counts.items();
    double rate = elapsed > 0 ? counted * NANOS / elapsed : 0;
    if (rate >= SLOWEST) {
      String format = rate >= 100 ? ", %,.0f %s/s" : rate >= 1 ? ", %.1f %s/s" : ", %.2f %s/s";
      line.append(String.format(Locale.ROOT, format, rate, items.isEmpty() ? unit : items));
    }
  }

  private void note(StringBuilder line) {
    if (!reading.note().isEmpty()) {
      line.append(", ").append(reading.note());
    }
  }

  private static String number(long value) {
    return String.format(Locale.ROOT, "%,d", value);
  }

  private static String time(double seconds) {
    if (seconds < 9.95) {
      return String.format(Locale.ROOT, "%.1f s", seconds);
    }
    long whole = Math.round(seconds);
    return String.format(Locale.ROOT, "%d:%02d:%02d", whole / 3600, whole / 60 % 60, whole % 60);
  }
}
