package io.github.kklip.store;

import static io.github.kklip.config.Message.message;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * The rows of the blocks of a shard as a text: sizes in order, equal ones that follow each other as
 * {@code SIZExCOUNT}, such as {@code 64x31 57}.
 */
public final class Blocks {
  /** The most rows of a block, and the size of all but the last where none are listed. */
  public static final int MOST_ROWS = 64;

  private Blocks() {}

  /** The text of these sizes. */
  public static String write(List<Integer> sizes) {
    StringBuilder text = new StringBuilder();
    int count;
    for (int i = 0; i < sizes.size(); i += count) {
      count = 1;
      while (i + count < sizes.size() && sizes.get(i + count).equals(sizes.get(i))) {
        count++;
      }
      text.append(text.isEmpty() ? "" : " ").append(sizes.get(i));
      if (count > 1) {
        text.append('x').append(count);
      }
    }
    return text.toString();
  }

  /** Sums of sizes that follow each other, of which none is over {@code most}. */
  public static List<Integer> together(List<Integer> sizes, int most) {
    List<Integer> sums = new ArrayList<>();
    int sum = 0;
    for (int size : sizes) {
      if (sum > 0 && sum + size > most) {
        sums.add(sum);
        sum = 0;
      }
      sum += size;
    }
    if (sum > 0) {
      sums.add(sum);
    }
    return sums;
  }

  /**
   * The sizes of a text.
   *
   * @param text empty: blocks of {@link #MOST_ROWS}
   * @param rows their sum
   * @throws IllegalArgumentException when they are no sizes, or not of so many rows
   */
  public static List<Integer> read(String text, long rows) {
    List<Integer> sizes = new ArrayList<>();
    long left = rows;
    try {
      for (String part : text.isEmpty() ? new String[0] : text.split(" ")) {
        int times = part.indexOf('x');
        int size = Integer.parseInt(times < 0 ? part : part.substring(0, times));
        int count = times < 0 ? 1 : Integer.parseInt(part.substring(times + 1));
        if (size < 1 || size > MOST_ROWS || count < 1 || (long) size * count > left) {
          throw new NumberFormatException();
        }
        left -= (long) size * count;
        sizes.addAll(Collections.nCopies(count, size));
      }
      while (text.isEmpty() && left > 0) {
        sizes.add((int) Math.min(MOST_ROWS, left));
        left -= sizes.get(sizes.size() - 1);
      }
    } catch (NumberFormatException e) {
      left = -1;
    }
    if (left != 0) {
      throw new IllegalArgumentException(
          message(
              "Cannot use the blocks %s of a shard because they are not sizes from 1 to %s of %s rows together.",
              text, MOST_ROWS, rows));
    }
    return sizes;
  }
}
