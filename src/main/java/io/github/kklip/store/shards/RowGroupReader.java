package io.github.kklip.store.shards;

import static io.github.kklip.config.Message.message;

import java.io.Closeable;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.parquet.ParquetReadOptions;
import org.apache.parquet.column.ColumnDescriptor;
import org.apache.parquet.column.ColumnReader;
import org.apache.parquet.column.impl.ColumnReadStoreImpl;
import org.apache.parquet.column.page.PageReadStore;
import org.apache.parquet.hadoop.ParquetFileReader;
import org.apache.parquet.hadoop.metadata.BlockMetaData;
import org.apache.parquet.io.api.Binary;
import org.apache.parquet.io.api.Converter;
import org.apache.parquet.io.api.GroupConverter;
import org.apache.parquet.io.api.PrimitiveConverter;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.Type;

/**
 * Reads one Parquet file row group by row group, in any order and only the columns that are asked
 * for, with page checksums verified. At most one row group is in memory.
 */
public final class RowGroupReader implements Closeable {
  private final Path path;
  private final ParquetFileReader file;

  private RowGroupReader(Path path, ParquetFileReader file) {
    this.path = path;
    this.file = file;
  }

  /**
   * Opens a file and reads its footer.
   *
   * @throws java.io.FileNotFoundException when there is no such file
   * @throws DamagedFileException when it is not a whole Parquet file
   * @throws IOException when the storage fails
   */
  public static RowGroupReader open(Configuration configuration, Path path) throws IOException {
    ParquetReadOptions options =
        ParquetReadOptions.builder().usePageChecksumVerification(true).build();
    StoredParquet file = new StoredParquet(configuration, path);
    try {
      return new RowGroupReader(path, ParquetFileReader.open(file, options));
    } catch (IOException | RuntimeException e) {
      throw failure(path, e);
    }
  }

  Path path() {
    return path;
  }

  public MessageType schema() {
    return file.getFileMetaData().getSchema();
  }

  /** The key-value entries of the footer. */
  public Map<String, String> metadata() {
    return file.getFileMetaData().getKeyValueMetaData();
  }

  public int groups() {
    return file.getRowGroups().size();
  }

  public long rows() {
    return file.getRecordCount();
  }

  public int rows(int group) {
    return Math.toIntExact(file.getRowGroups().get(group).getRowCount());
  }

  /** Bytes that {@link #read} needs for a group with the columns of {@code requested}. */
  public long bytes(int group, MessageType requested) {
    BlockMetaData block = file.getRowGroups().get(group);
    return block.getColumns().stream()
        .filter(column -> requested.containsPath(column.getPath().toArray()))
        .mapToLong(column -> Math.max(column.getTotalUncompressedSize(), column.getTotalSize()))
        .sum();
  }

  /**
   * Reads the columns of {@code requested}, a part of {@link #schema}, of one row group.
   *
   * @throws DamagedFileException when the group is damaged
   * @throws IOException when the storage fails
   */
  public Columns read(int group, MessageType requested) throws IOException {
    return read(group, requested, 0, rows(group));
  }

  /** As {@link #read(int, MessageType)}, but only the rows {@code from} to {@code to}. */
  Columns read(int group, MessageType requested, int from, int to) throws IOException {
    try {
      file.setRequestedSchema(requested);
      PageReadStore pages = file.readRowGroup(group);
      return new Columns(
          path,
          requested,
          new ColumnReadStoreImpl(
              pages, Blank.of(requested), requested, file.getFileMetaData().getCreatedBy()),
          from,
          to);
    } catch (IOException | RuntimeException e) {
      throw failure(path, e);
    }
  }

  @Override
  public void close() throws IOException {
    file.close();
  }

  /** A failure of the storage as it is, also from within the decoder's; all else is damage. */
  static IOException failure(Path path, Exception cause) {
    for (Throwable e = cause; e != null; e = e.getCause()) {
      if (e instanceof StoredParquet.StorageFailure failure) {
        return failure;
      }
    }
    return new DamagedFileException(
        message(
            "Cannot read %s because it is not a whole Parquet file: %s. Remove it and run the job that made it again.",
            path, cause.getMessage()),
        cause);
  }

  /** The columns of rows of one row group; each is read from its first row to its last. */
  public static final class Columns {
    private final Path path;
    private final MessageType schema;
    private final ColumnReadStoreImpl store;
    private final int from;
    private final int to;

    private Columns(Path path, MessageType schema, ColumnReadStoreImpl store, int from, int to) {
      this.path = path;
      this.schema = schema;
      this.store = store;
      this.from = from;
      this.to = to;
    }

    public int rows() {
      return to - from;
    }

    /**
     * A column by its path; null where an entry is null. Bytes are copied; entries that are one in
     * the file's dictionary share the copy.
     */
    public List<byte[]> binaries(String... column) throws IOException {
      // A dictionary gives the same object for the same entry.
      IdentityHashMap<Binary, byte[]> copies = new IdentityHashMap<>();
      return column(
          column,
          (reader, defined) -> {
            byte[] value =
                defined ? copies.computeIfAbsent(reader.getBinary(), Binary::getBytes) : null;
            reader.consume();
            return value;
          });
    }

    /** A text column by its path; null where an entry is null. */
    public List<String> texts(String... column) throws IOException {
      return column(
          column,
          (reader, defined) -> {
            String value = defined ? reader.getBinary().toStringUsingUTF8() : null;
            reader.consume();
            return value;
          });
    }

    /** A column of 32-bit integers without nulls. */
    public List<Integer> integers(String... column) throws IOException {
      return column(
          column,
          (reader, defined) -> {
            int value = reader.getInteger();
            reader.consume();
            return value;
          });
    }

    /** A column of 64-bit integers without nulls. */
    public List<Long> longs(String... column) throws IOException {
      return column(
          column,
          (reader, defined) -> {
            long value = reader.getLong();
            reader.consume();
            return value;
          });
    }

    /** A list column of floats. */
    public List<float[]> floatLists(String... column) throws IOException {
      float[][] buffer = {new float[16]};
      return column(
          column,
          (reader, defined) -> {
            int length = 0;
            do {
              if (isDefined(reader)) {
                if (length == buffer[0].length) {
                  buffer[0] = Arrays.copyOf(buffer[0], 2 * length);
                }
                buffer[0][length++] = reader.getFloat();
              }
              reader.consume();
            } while (reader.getCurrentRepetitionLevel() > 0);
            return Arrays.copyOf(buffer[0], length);
          });
    }

    /** A list column of 32-bit integers. */
    public List<int[]> integerLists(String... column) throws IOException {
      int[][] buffer = {new int[16]};
      return column(
          column,
          (reader, defined) -> {
            int length = 0;
            do {
              if (isDefined(reader)) {
                if (length == buffer[0].length) {
                  buffer[0] = Arrays.copyOf(buffer[0], 2 * length);
                }
                buffer[0][length++] = reader.getInteger();
              }
              reader.consume();
            } while (reader.getCurrentRepetitionLevel() > 0);
            return Arrays.copyOf(buffer[0], length);
          });
    }

    /** A list column of bytes, or a plain one as lists of one; nulls are left out. */
    public List<List<byte[]>> binaryLists(String... column) throws IOException {
      return column(
          column,
          (reader, defined) -> {
            List<byte[]> values = new ArrayList<>();
            do {
              if (isDefined(reader)) {
                values.add(reader.getBinary().getBytes());
              }
              reader.consume();
            } while (reader.getCurrentRepetitionLevel() > 0);
            return values;
          });
    }

    private interface Cell<T> {
      T read(ColumnReader reader, boolean defined);
    }

    private <T> List<T> column(String[] column, Cell<T> cell) throws IOException {
      ColumnDescriptor descriptor = schema.getColumnDescription(column);
      List<T> values = new ArrayList<>(rows());
      try {
        ColumnReader reader = store.getColumnReader(descriptor);
        for (int row = 0; row < from; row++) {
          do {
            reader.skip();
            reader.consume();
          } while (reader.getCurrentRepetitionLevel() > 0);
        }
        for (int row = from; row < to; row++) {
          values.add(cell.read(reader, isDefined(reader)));
        }
      } catch (RuntimeException e) {
        throw failure(path, e);
      }
      return values;
    }

    private static boolean isDefined(ColumnReader reader) {
      return reader.getCurrentDefinitionLevel() == reader.getDescriptor().getMaxDefinitionLevel();
    }
  }

  /** The converters that the column store asks for, though columns are read without them. */
  private static final class Blank extends GroupConverter {
    private final List<Converter> children;

    private Blank(List<Converter> children) {
      this.children = children;
    }

    static GroupConverter of(org.apache.parquet.schema.GroupType group) {
      List<Converter> children = new ArrayList<>();
      for (Type type : group.getFields()) {
        children.add(type.isPrimitive() ? new PrimitiveConverter() {} : of(type.asGroupType()));
      }
      return new Blank(children);
    }

    @Override
    public Converter getConverter(int fieldIndex) {
      return children.get(fieldIndex);
    }

    @Override
    public void start() {}

    @Override
    public void end() {}
  }
}
