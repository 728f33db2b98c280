package io.github.kklip.ingest;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.Seeds;
import io.github.kklip.store.Pair;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Split;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.LongStream;

/**
 * The order of the rows of one generation and the shards that it is cut into.
 *
 * <p>Every row has a sort key: split, keyed hash of its image's id, id. Sorted by it, images are
 * shuffled, the same in every run, and captions of an image stand together; shards are consecutive
 * ranges of keys, so that only the first key of each has to be known to send a row to its shard.
 */
final class Layout implements Serializable {
  private static final long serialVersionUID = 1L;

  /** Split, 16 digits of hash and 32 of id. */
  static final int ROW_KEY_LENGTH = 1 + 16 + 32;

  private static final int VALIDATION_BITS = 52;

  private final String[] firstKeys;

  /**
   * @param firstKeys the keys at {@link #starts}, in order
   */
  Layout(List<String> firstKeys) {
    this.firstKeys = firstKeys.toArray(String[]::new);
  }

  /**
   * Positions in all sorted rows at which shards begin: in each split as few shards as {@code
   * shardRows} allows, of equal size.
   *
   * @param rows of each split
   */
  static long[] starts(List<Long> rows, int shardRows) {
    LongStream starts = LongStream.empty();
    long before = 0;
    for (long ofSplit : rows) {
      long first = before;
      starts = LongStream.concat(starts, starts(ofSplit, shardRows).map(i -> first + i));
      before += ofSplit;
    }
    return starts.toArray();
  }

  private static LongStream starts(long rows, int shardRows) {
    long shards = (rows + shardRows - 1) / shardRows;
    return LongStream.range(0, shards).map(i -> Math.multiplyExact(rows, i) / shards);
  }

  /** A part for each shard; one part when there are none, for the rejects. */
  int parts() {
    return Math.max(1, firstKeys.length);
  }

  boolean hasShards() {
    return firstKeys.length > 0;
  }

  /** The part of a row or reject. */
  int part(String key) {
    int found = Arrays.binarySearch(firstKeys, key);
    return Math.max(0, found >= 0 ? found : -found - 2);
  }

  /** The split of a part. */
  Split split(int part) {
    return hasShards() ? split(firstKeys[part]) : Split.TRAIN;
  }

  /** The split that a key begins with; that of a reject is where it is written. */
  static Split split(String key) {
    return switch (key.charAt(0)) {
      case 't' -> Split.TRAIN;
      case 'v' -> Split.VALIDATION;
      case 'x' -> Split.TEST;
      default ->
          throw new IllegalArgumentException(message("The key %s begins with no split.", key));
    };
  }

  /** The shards' indices continue those of the dataset. */
  List<Integer> indices(List<Shard> older) {
    Map<Split, Integer> next = new EnumMap<>(Split.class);
    older.forEach(shard -> next.merge(shard.split(), shard.index() + 1, Math::max));
    List<Integer> indices = new ArrayList<>();
    for (int part = 0; part < firstKeys.length; part++) {
      indices.add(next.merge(split(part), 1, Integer::sum) - 1);
    }
    return indices;
  }

  /** How keys begin: they sort as the splits do. */
  static String prefix(Split split) {
    return switch (split) {
      case TRAIN -> "t";
      case VALIDATION -> "v";
      case TEST -> "x";
    };
  }

  /** The key of a row: rows of one id have the same, those of one image follow each other. */
  static String rowKey(Split split, Pair pair, long shuffleSeed) {
    long image = Seeds.hash(pair.imageId());
    return prefix(split) + hex(Seeds.derive(shuffleSeed, "row", image)) + pair.id();
  }

  /** The id in the key of a row. */
  static String id(String rowKey) {
    return rowKey.substring(1 + 16, ROW_KEY_LENGTH);
  }

  /** Rejects are spread over the parts of the training split. */
  static String rejectKey(String order, long shuffleSeed) {
    return prefix(Split.TRAIN) + hex(Seeds.derive(shuffleSeed, "reject", Seeds.hash(order)));
  }

  private static String hex(long value) {
    return String.format(Locale.ROOT, "%016x", value);
  }

  /**
   * The split of an image by its hash. It does not depend on the seed, so that an image never
   * changes sides.
   *
   * @param fraction share of the validation split
   */
  static Split split(String imageId, double fraction) {
    long bits = Seeds.derive(0, "split", Seeds.hash(imageId)) >>> (Long.SIZE - VALIDATION_BITS);
    return bits < fraction * (1L << VALIDATION_BITS) ? Split.VALIDATION : Split.TRAIN;
  }
}
