package io.github.kklip.store.shards;

import io.github.kklip.store.Shard;
import java.io.Closeable;
import java.io.IOException;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.parquet.schema.MessageType;

/**
 * Reads the rows of one shard row group by row group, in any order.
 *
 * @param <T> one row
 */
public final class ShardReader<T> implements Closeable {
  private final RowGroupReader file;
  private final RowFormat<T> format;
  private final MessageType schema;

  private ShardReader(RowGroupReader file, RowFormat<T> format) {
    this.file = file;
    this.format = format;
    this.schema = format.schema();
  }

  /**
   * Opens a shard.
   *
   * @throws IOException when there is no such file, it is damaged or has rows of another type
   */
  public static <T> ShardReader<T> open(Configuration configuration, Path path, RowFormat<T> format)
      throws IOException {
    return open(configuration, path, format, file -> {});
  }

  /**
   * Opens a shard whose rows follow those of a pair shard.
   *
   * @param made digest of what it must have been made with
   * @throws IOException as above, and when it was made with other settings or belongs to other
   *     pairs
   */
  public static <T> ShardReader<T> open(
      Configuration configuration, Path path, RowFormat<T> format, Shard pairs, String made)
      throws IOException {
    Footer expected = new Footer(made, pairs.identity());
    return open(configuration, path, format, file -> expected.require(file, path, pairs));
  }

  private interface RowCheck {
    void of(RowGroupReader file) throws IOException;
  }

  private static <T> ShardReader<T> open(
      Configuration configuration, Path path, RowFormat<T> format, RowCheck check)
      throws IOException {
    RowGroupReader file = RowGroupReader.open(configuration, path);
    try {
      check.of(file);
      return new ShardReader<>(file, format.in(file));
    } catch (IOException e) {
      file.close();
      throw e;
    } catch (RuntimeException e) {
      file.close();
      throw RowGroupReader.failure(path, e);
    }
  }

  RowFormat<T> format() {
    return format;
  }

  public int rowGroups() {
    return file.groups();
  }

  public long rows() {
    return file.rows();
  }

  /** Rows of one row group. */
  public int rows(int group) {
    return file.rows(group);
  }

  /** Bytes of one row group in the columns that are read. */
  public long bytes(int group) {
    return file.bytes(group, schema);
  }

  /** The identity in the footer ({@link Shard#identity}). */
  public String identity() {
    return file.metadata().get(Footer.IDENTITY);
  }

  /** The blocks that the footer lists, as in {@link Shard#blocks}; empty where it lists none. */
  public String blocks() {
    return file.metadata().getOrDefault(Footer.BLOCKS, "");
  }

  /**
   * Reads one row group, in the order of the rows.
   *
   * @throws DamagedFileException when the group is damaged
   * @throws IOException when the storage fails
   */
  public List<T> readGroup(int group) throws IOException {
    return readGroup(group, 0, file.rows(group));
  }

  /** Reads the rows {@code from} to {@code to} of one row group. */
  public List<T> readGroup(int group, int from, int to) throws IOException {
    try {
      return format.read(file.read(group, schema, from, to));
    } catch (RuntimeException e) {
      throw RowGroupReader.failure(file.path(), e);
    }
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
