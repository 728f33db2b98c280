package io.github.kklip.store.shards;

import static io.github.kklip.config.Message.message;

import io.github.kklip.store.Blocks;
import io.github.kklip.store.Identity;
import io.github.kklip.store.Shard;
import java.io.Closeable;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * Writes the rows of one shard. {@link #commit} puts the file in its place, under a name with the
 * digest of its content; {@link #close} without it leaves nothing.
 *
 * @param <T> one row
 */
public final class ShardWriter<T> implements Closeable {
  private final RowGroupWriter file;
  private final RowFormat<T> format;
  private final Path path;

  /** The pair shard whose rows these follow, and the settings; null where they follow none. */
  private final Shard pairs;

  private final String made;
  private final Identity.Rows identity = new Identity.Rows();
  private boolean identified;

  /** Rows of each block that {@link #writeBlocks} wrote. */
  private final List<Integer> blocks = new ArrayList<>();

  /** Of the shard whose rows these follow: rows that end the row groups to come. */
  private final Iterator<Integer> groups;

  /** Rows that are still to come in the row group. */
  private int left;

  /**
   * A shard of its own.
   *
   * @param rowsPerGroup rows of a row group at most; 16 MiB end one as well
   */
  public ShardWriter(Configuration configuration, Path path, RowFormat<T> format, int rowsPerGroup)
      throws IOException {
    this(configuration, path, format, rowsPerGroup, null, null);
  }

  /** A shard of its own, of {@link #writeBlocks} alone. */
  ShardWriter(Configuration configuration, Path path, RowFormat<T> format) throws IOException {
    this(configuration, path, format, 0, null, null);
  }

  /**
   * A shard with one row for each of a pair shard, in its order: {@link #commit} refuses any other.
   * Its row groups hold whole blocks of the pairs, so that a block's rows are in one of them.
   *
   * @param made digest of what it is made with
   */
  public ShardWriter(
      Configuration configuration, Path path, RowFormat<T> format, Shard pairs, String made)
      throws IOException {
    this(configuration, path, format, 0, pairs, made);
  }

  private ShardWriter(
      Configuration configuration,
      Path path,
      RowFormat<T> format,
      int rowsPerGroup,
      Shard pairs,
      String made)
      throws IOException {
    this.format = format;
    this.path = path;
    this.pairs = pairs;
    this.made = made;
    groups =
        pairs == null
            ? Collections.emptyIterator()
            : Blocks.together(pairs.blockRows(), Blocks.MOST_ROWS).iterator();
    file =
        new RowGroupWriter(configuration, path, format.schema(), rowsPerGroup, format.repeated());
  }

  /** Writes the next row, of which nothing is kept. */
  public void write(T row) throws IOException {
    if (left == 0 && groups.hasNext()) {
      file.newGroup(0);
      left = groups.next();
    }
    left--;
    writeCells(row);
  }

  /**
   * Writes a row group.
   *
   * @param rows of each of its blocks; values of {@link RowFormat#repeated} columns come again in
   *     all but the first
   */
  void writeBlocks(List<List<T>> rows) throws IOException {
    long bytes = rows.stream().flatMap(List::stream).mapToLong(format::bytes).sum();
    file.newGroup(rows.size() > 1 ? bytes : 0);
    for (List<T> block : rows) {
      for (T row : block) {
        writeCells(row);
      }
      blocks.add(block.size());
    }
  }

  private void writeCells(T row) throws IOException {
    file.startRow(format.bytes(row));
    format.write(row, file);
    file.endRow();
    String id = format.id(row);
    if (id != null) {
      identity.add(id);
      identified = true;
    }
  }

  public long rows() {
    return file.rows();
  }

  /** The blocks that {@link #writeBlocks} wrote, as in {@link Shard#blocks}. */
  String blocks() {
    return Blocks.write(blocks);
  }

  /**
   * A file in its place.
   *
   * @param identity of its rows
   */
  public record Written(Path file, String identity) {}

  /**
   * Publishes the file under a name that says its content: {@code NAME-DIGEST.parquet} for the path
   * {@code NAME.parquet} that it was made for.
   */
  public Written commit() throws IOException {
    String hex = identity.hexAndReset();
    Map<String, String> metadata = new TreeMap<>(format.metadata());
    if (!blocks.isEmpty()) {
      metadata.put(Footer.BLOCKS, Blocks.write(blocks));
    }
    if (identified || pairs != null) {
      metadata.put(Footer.IDENTITY, hex);
    }
    if (pairs != null) {
      if (file.rows() != pairs.rows() || !hex.equals(pairs.identity())) {
        throw new IllegalStateException(
            message(
                "Cannot publish %s because its rows are not those of %s: %s rows of identity %s.",
                path, pairs, file.rows(), hex));
      }
      metadata.put(Footer.SETTINGS, made);
    }
    return new Written(file.commit(metadata), hex);
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
