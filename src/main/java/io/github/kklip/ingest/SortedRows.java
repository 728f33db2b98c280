package io.github.kklip.ingest;

import io.github.kklip.store.Split;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.function.ToLongFunction;
import org.apache.spark.Partitioner;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.storage.StorageLevel;
import scala.Tuple2;

/**
 * The sort keys of a run's rows in order, with the source that each counts for. Of equal rows the
 * first in the sources stays; in the test split all do.
 *
 * <p>Keys begin with a hash, so equal ranges of hashes hold about as many keys: they are sorted in
 * one shuffle, without a sample.
 */
final class SortedRows implements AutoCloseable {
  /**
   * Keys of one part, about: little enough to sort at once, too much to be worth a further task.
   */
  private static final long PART_ROWS = 1 << 16;

  private final JavaPairRDD<String, Integer> rows;

  /** How many parts each split has. */
  private final int[] parts;

  /** Rows by source of each part. */
  private final List<Map<Integer, Long>> counts;

  /**
   * Sorts.
   *
   * @param facts of rows
   * @param ofSplit rows of a split, or a few more
   * @param maxParts tasks for each split at the most
   */
  SortedRows(JavaRDD<Tally.Fact> facts, ToLongFunction<Split> ofSplit, int maxParts) {
    parts =
        Arrays.stream(Split.values())
            .mapToInt(split -> parts(ofSplit.applyAsLong(split), maxParts))
            .toArray();
    rows =
        facts
            .mapToPair(fact -> new Tuple2<>(fact.row() + "#" + fact.order(), fact.source()))
            .repartitionAndSortWithinPartitions(new HashRanges(parts))
            .mapPartitionsToPair(SortedRows::kept, true)
            .persist(StorageLevel.MEMORY_AND_DISK());
    counts = rows.values().mapPartitions(SortedRows::count).collect();
  }

  private static int parts(long rows, int most) {
    return (int) Math.max(1, Math.min(most, rows / PART_ROWS));
  }

  private static Iterator<Tuple2<String, Integer>> kept(Iterator<Tuple2<String, Integer>> all) {
    return new Iterator<>() {
      private String last = "";
      private Tuple2<String, Integer> next;

      @Override
      public boolean hasNext() {
        while (next == null && all.hasNext()) {
          Tuple2<String, Integer> keyed = all.next();
          String row = keyed._1.substring(0, Layout.ROW_KEY_LENGTH);
          if (!row.equals(last) || Layout.split(row) == Split.TEST) {
            last = row;
            next = new Tuple2<>(row, keyed._2);
          }
        }
        return next != null;
      }

      @Override
      public Tuple2<String, Integer> next() {
        if (!hasNext()) {
          throw new java.util.NoSuchElementException();
        }
        Tuple2<String, Integer> given = next;
        next = null;
        return given;
      }
    };
  }

  private static Iterator<Map<Integer, Long>> count(Iterator<Integer> sources) {
    Map<Integer, Long> counts = new HashMap<>();
    sources.forEachRemaining(source -> counts.merge(source, 1L, Long::sum));
    return List.of(counts).iterator();
  }

  /** The keys, in order within each part. */
  JavaRDD<String> keys() {
    return rows.keys();
  }

  /** Rows by source. */
  Map<Integer, Long> bySource() {
    Map<Integer, Long> all = new HashMap<>();
    counts.forEach(part -> part.forEach((source, n) -> all.merge(source, n, Long::sum)));
    return all;
  }

  Layout layout(int shardRows) {
    long[] before = new long[counts.size() + 1];
    for (int part = 0; part < counts.size(); part++) {
      long rowsOfPart = counts.get(part).values().stream().mapToLong(Long::longValue).sum();
      before[part + 1] = before[part] + rowsOfPart;
    }
    List<Long> ofSplits = new ArrayList<>();
    int first = 0;
    for (int ofSplit : parts) {
      ofSplits.add(before[first + ofSplit] - before[first]);
      first += ofSplit;
    }
    long[] starts = Layout.starts(ofSplits, shardRows);
    return new Layout(
        rows.keys()
            .mapPartitionsWithIndex((part, keys) -> at(starts, before[part], keys), false)
            .collect());
  }

  /**
   * The keys at the positions {@code starts}, of keys of which the first is at {@code from}. Equal
   * ones stay together: a shard begins with the next one that differs.
   */
  private static Iterator<String> at(long[] starts, long from, Iterator<String> keys) {
    List<String> found = new ArrayList<>();
    boolean due = false;
    String last = "";
    for (long position = from; keys.hasNext(); position++) {
      String key = keys.next();
      due |= Arrays.binarySearch(starts, position) >= 0;
      if (due && !key.equals(last)) {
        found.add(key);
        due = false;
      }
      last = key;
    }
    return found.iterator();
  }

  @Override
  public void close() {
    rows.unpersist();
  }

  /** Equal ranges of the hashes of each split. */
  private static final class HashRanges extends Partitioner {
    private static final long serialVersionUID = 1L;

    /** Hexadecimal digits of the hash that are looked at. */
    private static final int DIGITS = 8;

    private static final List<Split> ORDER = List.of(Split.values());

    private final int[] parts;

    HashRanges(int[] parts) {
      this.parts = parts.clone();
    }

    @Override
    public int numPartitions() {
      return Arrays.stream(parts).sum();
    }

    @Override
    public int getPartition(Object key) {
      String text = (String) key;
      long hash = Long.parseLong(text, 1, 1 + DIGITS, 16);
      int split = ORDER.indexOf(Layout.split(text));
      int before = 0;
      for (int i = 0; i < split; i++) {
        before += parts[i];
      }
      return before + (int) ((hash * parts[split]) >>> (4 * DIGITS));
    }
  }
}
