package io.github.kklip.ingest;

import io.github.kklip.store.Split;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.apache.spark.Partitioner;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.storage.StorageLevel;
import scala.Tuple2;

/**
 * The sort keys of a run's rows in order, each once, with the source that it counts for: of equal
 * rows the first in the sources stays.
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
  private final int trainParts;

  /** Rows by source of each part. */
  private final List<Map<Integer, Long>> counts;

  /**
   * Sorts.
   *
   * @param facts of rows
   * @param train rows of the training split, or a few more
   * @param validation rows of the validation split, or a few more
   * @param maxParts tasks for each split at the most
   */
  SortedRows(JavaRDD<Tally.Fact> facts, long train, long validation, int maxParts) {
    trainParts = parts(train, maxParts);
    rows =
        facts
            .mapToPair(fact -> new Tuple2<>(fact.row() + "#" + fact.order(), fact.source()))
            .repartitionAndSortWithinPartitions(
                new HashRanges(trainParts, parts(validation, maxParts)))
            .mapPartitionsToPair(SortedRows::firsts, true)
            .persist(StorageLevel.MEMORY_AND_DISK());
    counts = rows.values().mapPartitions(SortedRows::count).collect();
  }

  private static int parts(long rows, int most) {
    return (int) Math.max(1, Math.min(most, rows / PART_ROWS));
  }

  private static Iterator<Tuple2<String, Integer>> firsts(Iterator<Tuple2<String, Integer>> all) {
    return new Iterator<>() {
      private String last = "";
      private Tuple2<String, Integer> next;

      @Override
      public boolean hasNext() {
        while (next == null && all.hasNext()) {
          Tuple2<String, Integer> keyed = all.next();
          String row = keyed._1.substring(0, Layout.ROW_KEY_LENGTH);
          if (!row.equals(last)) {
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
    long train = before[trainParts];
    long validation = before[counts.size()] - train;
    long[] starts = Layout.starts(train, validation, shardRows);
    List<String> firstKeys =
        rows.keys()
            .mapPartitionsWithIndex((part, keys) -> at(starts, before[part], keys), false)
            .collect();
    return new Layout(train, validation, firstKeys);
  }

  /** The keys at the positions {@code starts}, of keys of which the first is at {@code from}. */
  private static Iterator<String> at(long[] starts, long from, Iterator<String> keys) {
    List<String> found = new ArrayList<>();
    for (long position = from; keys.hasNext(); position++) {
      String key = keys.next();
      if (Arrays.binarySearch(starts, position) >= 0) {
        found.add(key);
      }
    }
    return found.iterator();
  }

  @Override
  public void close() {
    rows.unpersist();
  }

  /** Equal ranges of the hashes of either split, training first. */
  private static final class HashRanges extends Partitioner {
    private static final long serialVersionUID = 1L;

    /** Hexadecimal digits of the hash that are looked at. */
    private static final int DIGITS = 8;

    private final int train;
    private final int validation;

    HashRanges(int train, int validation) {
      this.train = train;
      this.validation = validation;
    }

    @Override
    public int numPartitions() {
      return train + validation;
    }

    @Override
    public int getPartition(Object key) {
      String text = (String) key;
      long hash = Long.parseLong(text, 1, 1 + DIGITS, 16);
      return text.startsWith(Layout.prefix(Split.TRAIN))
          ? (int) ((hash * train) >>> (4 * DIGITS))
          : train + (int) ((hash * validation) >>> (4 * DIGITS));
    }
  }
}
