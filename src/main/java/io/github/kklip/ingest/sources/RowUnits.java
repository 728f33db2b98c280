package io.github.kklip.ingest.sources;

import java.util.ArrayList;
import java.util.List;

/**
 * Cuts a file into units of rows as they are counted. A unit names the position of its first row,
 * the number of its rows, and as its only name the line with which it begins.
 */
final class RowUnits {
  private static final int ROWS = 512;

  /** Of a file of which every unit reads what comes before it as well. */
  private static final int MOST_WHERE_SLOW = 64;

  private final List<long[]> blocks = new ArrayList<>();
  private long rows;

  void row(long start, long line) {
    if (rows % ROWS == 0) {
      blocks.add(new long[] {start, line});
    }
    rows++;
  }

  /**
   * The units.
   *
   * @param seekable whether a unit can begin to read at its first row
   * @param openEnd whether the last unit reads to where the file can be read no further, and says
   *     why
   */
  List<Unit> of(Unit file, boolean seekable, boolean openEnd) {
    int size = seekable ? 1 : Math.max(1, (blocks.size() + MOST_WHERE_SLOW - 1) / MOST_WHERE_SLOW);
    List<Unit> units = new ArrayList<>();
    for (int block = 0; block < blocks.size(); block += size) {
      boolean last = block + size >= blocks.size();
      long left = rows - (long) block * ROWS;
      long count = last ? (openEnd ? 0 : left) : (long) size * ROWS;
      long[] start = blocks.get(block);
      units.add(
          new Unit(
              file.source(),
              file.path(),
              units.size(),
              start[0],
              count,
              List.of(Long.toString(start[1]))));
    }
    return units.isEmpty() && openEnd ? List.of(file) : units;
  }

  /** The line with which a unit begins; 1 for a whole file. */
  static long line(Unit unit) {
    return unit.names().isEmpty() ? 1 : Long.parseLong(unit.names().get(0));
  }
}
