package io.github.kklip.store.shards;

import static io.github.kklip.config.Message.message;

import io.github.kklip.store.Pair;
import io.github.kklip.store.Shard;
import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * Derived rows that are carried along when pairs move to another shard: they are copied as they
 * are, in the order of the pairs that are there already.
 */
public final class FollowingRows {
  private FollowingRows() {}

  /** All rows of a file that follows a pair shard, by id. */
  public static <T> Map<String, T> read(
      Configuration configuration, Path file, RowFormat<T> format, Shard pairs, String made)
      throws IOException {
    Map<String, T> rows = new HashMap<>();
    try (ShardReader<T> reader = ShardReader.open(configuration, file, format, pairs, made)) {
      for (int group = 0; group < reader.rowGroups(); group++) {
        for (T row : reader.readGroup(group)) {
          rows.put(format.id(row), row);
        }
      }
    }
    return rows;
  }

  /**
   * Writes a file that follows a pair shard.
   *
   * @param target without the digest of its content
   * @param pairsFile the shard's file
   * @param made digest of what the rows were made with
   * @param rows by id, more or as many as the shard has
   * @return where it is
   */
  public static <T> Path write(
      Configuration configuration,
      Path target,
      RowFormat<T> format,
      Shard pairs,
      Path pairsFile,
      String made,
      Map<String, T> rows)
      throws IOException {
    try (ShardReader<Pair> ids = ShardReader.open(configuration, pairsFile, PairFormat.IDS);
        ShardWriter<T> writer = new ShardWriter<>(configuration, target, format, pairs, made)) {
      for (int group = 0; group < ids.rowGroups(); group++) {
        List<Pair> part = ids.readGroup(group);
        for (Pair pair : part) {
          T row = rows.get(pair.id());
          if (row == null) {
            throw new IOException(
                message(
                    "Cannot write %s because there is no row for the pair %s of %s.",
                    target, pair.id(), pairsFile));
          }
          writer.write(row);
        }
      }
      return writer.commit().file();
    }
  }
}
