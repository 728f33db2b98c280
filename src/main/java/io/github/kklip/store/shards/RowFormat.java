package io.github.kklip.store.shards;

import java.io.IOException;
import java.io.Serializable;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.parquet.schema.MessageType;

/**
 * How rows of one type stand in the columns of a Parquet file.
 *
 * @param <T> one row
 */
public interface RowFormat<T> extends Serializable {

  /** The columns that are written, or that are read. */
  MessageType schema();

  /**
   * The format that a file's rows are read with.
   *
   * @throws IOException when the file has rows of another type
   */
  default RowFormat<T> in(RowGroupReader file) throws IOException {
    return this;
  }

  /** About the bytes of a row, for the bound on a row group. */
  long bytes(T row);

  /** Writes the cells of one row. */
  void write(T row, RowGroupWriter cells);

  /** The rows of one row group, or of a part of it. */
  List<T> read(RowGroupReader.Columns columns) throws IOException;

  /** The pair's id, of which the shard's identity is made; null where rows have none. */
  String id(T row);

  /** Columns whose values come again within a row group of {@link PairWriter}. */
  default Set<String> repeated() {
    return Set.of();
  }

  /** What the footer says beside the rows' origin. */
  default Map<String, String> metadata() {
    return Map.of();
  }
}
