package io.github.kklip.ingest;

import static io.github.kklip.config.Message.message;

import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.HashedPair;
import io.github.kklip.store.Pair;
import io.github.kklip.store.Shard;
import io.github.kklip.store.shards.HashedPairFormat;
import io.github.kklip.store.shards.PairFormat;
import io.github.kklip.store.shards.RowFormat;
import io.github.kklip.store.shards.ShardReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.NoSuchElementException;
import java.util.function.BiFunction;
import org.apache.spark.TaskContext;
import org.apache.spark.util.TaskCompletionListener;
import scala.Tuple2;

/**
 * Rows of a shard under the keys that they have in another layout, read row group by row group.
 *
 * @param <T> a row of the file
 * @param <R> what becomes of it
 */
final class StoredRows<T, R> implements Iterator<R> {
  /** What gives each row its key. */
  record Keys(long shuffleSeed) implements java.io.Serializable {
    /** Sort key and place, as {@link CandidateIterator} gives them. */
    String of(Shard shard, Pair pair, int row) {
      return Layout.rowKey(shard.split(), pair, shuffleSeed)
          + "#"
          + String.format(Locale.ROOT, "%010d-%010d", shard.index(), row);
    }
  }

  private final ShardReader<T> reader;
  private final BiFunction<T, Integer, R> each;
  private final Deque<T> waiting = new ArrayDeque<>();
  private int group;
  private int row;

  private StoredRows(ShardReader<T> reader, BiFunction<T, Integer, R> each) {
    this.reader = reader;
    this.each = each;
    TaskContext.get()
        .addTaskCompletionListener(
            (TaskCompletionListener)
                context -> {
                  try {
                    reader.close();
                  } catch (IOException e) {
                    throw new UncheckedIOException(e);
                  }
                });
  }

  /** What has to be known of each row without its image. */
  static Iterator<Tally.Fact> facts(DatasetFolder folder, Shard shard, Keys keys)
      throws IOException {
    return new StoredRows<>(
        ShardReader.open(folder.configuration(), folder.pairs(shard), PairFormat.IDS),
        (pair, row) ->
            new Tally.Fact(0, keys.of(shard, pair, row), true, pair.imageId(), 0, "", 0));
  }

  /** The rows as candidates under their keys. */
  static Iterator<Tuple2<String, byte[]>> pairs(DatasetFolder folder, Shard shard, Keys keys)
      throws IOException {
    if (HashedPairFormat.isIn(folder.configuration(), folder.pairs(shard))) {
      return new StoredRows<HashedPair, Tuple2<String, byte[]>>(
          ShardReader.open(folder.configuration(), folder.pairs(shard), HashedPairFormat.ALL),
          (hashed, row) ->
              new Tuple2<>(
                  keys.of(shard, hashed.pair(), row),
                  new Candidate.Accepted(hashed.pair(), "", hashed.hash()).encode()));
    }
    return new StoredRows<Pair, Tuple2<String, byte[]>>(
        ShardReader.open(folder.configuration(), folder.pairs(shard), PairFormat.ALL),
        (pair, row) ->
            new Tuple2<>(keys.of(shard, pair, row), new Candidate.Accepted(pair, "", 0).encode()));
  }

  /**
   * The rows of a derived file under the keys of their pairs.
   *
   * @param made digest of what it must have been made with
   */
  static <T> Iterator<Tuple2<String, byte[]>> derived(
      DatasetFolder folder,
      Shard shard,
      String file,
      RowFormat<T> format,
      String made,
      RowBytes<T> bytes,
      Keys keys)
      throws IOException {
    List<Pair> pairs = new ArrayList<>();
    try (ShardReader<Pair> ids =
        ShardReader.open(folder.configuration(), folder.pairs(shard), PairFormat.IDS)) {
      for (int group = 0; group < ids.rowGroups(); group++) {
        pairs.addAll(ids.readGroup(group));
      }
    }
    return new StoredRows<T, Tuple2<String, byte[]>>(
        ShardReader.open(folder.configuration(), folder.file(file), format, shard, made),
        (derived, row) -> {
          Pair pair = pairs.get(row);
          if (!pair.id().equals(format.id(derived))) {
            throw new IllegalStateException(
                message(
                    "Cannot compact %s because its row %s is %s and that of the pairs %s.",
                    file, row, format.id(derived), pair.id()));
          }
          return new Tuple2<>(keys.of(shard, pair, row), bytes.write(derived));
        });
  }

  @Override
  public boolean hasNext() {
    try {
      while (waiting.isEmpty() && group < reader.rowGroups()) {
        waiting.addAll(reader.readGroup(group++));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return !waiting.isEmpty();
  }

  @Override
  public R next() {
    if (!hasNext()) {
      throw new NoSuchElementException();
    }
    return each.apply(waiting.remove(), row++);
  }
}
