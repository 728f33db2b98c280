package io.github.kklip.store.shards;

import static io.github.kklip.config.Message.message;

import io.github.kklip.store.publication.ContentKind;
import java.io.Closeable;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.parquet.ParquetReadOptions;
import org.apache.parquet.column.ColumnDescriptor;
import org.apache.parquet.column.ColumnReader;
import org.apache.parquet.column.impl.ColumnReadStoreImpl;
import org.apache.parquet.column.page.PageReadStore;
import org.apache.parquet.hadoop.BadConfigurationException;
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
  private final StoredParquet stored;
  private final ParquetFileReader file;
  private final boolean source;

  private RowGroupReader(StoredParquet stored, ParquetFileReader file, boolean source) {
    this.stored = stored;
    this.file = file;
    this.source = source;
  }

  /**
   * Opens a file that a job made, and reads its footer.
   *
   * @throws java.io.FileNotFoundException when there is no such file
   * @throws DamagedFileException when it is not a whole Parquet file
   * @throws IOException when the storage fails
   */
  public static RowGroupReader open(Configuration configuration, Path path) throws IOException {
    return open(configuration, path, false);
  }

  /**
   * As {@link #open}, of a file that is not a job's own: errors say what it is, and never to remove
   * it.
   */
  public static RowGroupReader openSource(Configuration configuration, Path path)
      throws IOException {
    return open(configuration, path, true);
  }

  private static RowGroupReader open(Configuration configuration, Path path, boolean source)
      throws IOException {
    ParquetReadOptions options =
        ParquetReadOptions.builder().usePageChecksumVerification(true).build();
    StoredParquet file = new StoredParquet(configuration, path);
    try {
      return new RowGroupReader(file, ParquetFileReader.open(file, options), source);
    } catch (IOException | RuntimeException e) {
      throw failure(file, source, e);
    }
  }

  Path path() {
    return stored.path();
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
          this::failure,
          requested,
          new ColumnReadStoreImpl(
              pages, Blank.of(requested), requested, file.getFileMetaData().getCreatedBy()),
          from,
          to);
    } catch (IOException | RuntimeException e) {
      throw failure(e);
    }
  }

  @Override
  public void close() throws IOException {
    file.close();
  }

  /** What went wrong while this file was read. */
  IOException failure(Exception cause) {
    return failure(stored, source, cause);
  }

  /** A failure of the storage as it is, also from within the decoder's; all else is damage. */
  private static IOException failure(StoredParquet file, boolean source, Exception cause) {
    for (Throwable e = cause; e != null; e = e.getCause()) {
      if (e instanceof StoredParquet.StorageFailure failure) {
        return failure;
      }
      if (e instanceof BadConfigurationException
          && e.getCause() instanceof ClassNotFoundException) {
        return new DamagedFileException(
            message(
                "Cannot read %s because there is no codec here for its compression: %s. Write it with zstd, snappy, gzip or lz4, or put the codec's library on the class path.",
                file.path(), e.getMessage()),
            cause);
      }
    }
    if (!source) {
      return new DamagedFileException(
          message(
              "Cannot read %s because it is not a whole Parquet file: %s. Remove it and run the job that made it again.",
              file.path(), cause.getMessage()),
          cause);
    }
    try {
      Optional<ContentKind> kind =
          ContentKind.of(file.head(ContentKind.HEAD_BYTES)).filter(k -> k != ContentKind.PARQUET);
      return new DamagedFileException(
          kind.isPresent()
              ? message(
                  "Cannot read %s because it is not a Parquet file: %s.",
                  file.path(), kind.get().sentence())
              : message(
                  "Cannot read %s because it is not a whole Parquet file: %s. Get it again.",
                  file.path(), cause.getMessage()),
          cause);
    } catch (IOException e) {
      return e;
    }
  }

  /** The columns of rows of one row group; each is read from its first row to its last. */
  public static final class Columns {
    private final Function<Exception, IOException> failure;
    private final MessageType schema;
    private final ColumnReadStoreImpl store;
    private final int from;
    private final int to;

    private Columns(
        Function<Exception, IOException> failure,
        MessageType schema,
        ColumnReadStoreImpl store,
        int from,
        int to) {
      this.failure = failure;
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

    /**
     * A list column of bytes, or a plain one as lists of one. An element that is null, or of a
     * structure that is, is null; where there is no list, or the plain value is null, the list is
     * empty.
     */
    public List<List<byte[]>> binaryLists(String... column) throws IOException {
      int element = elementLevel(column);
      return column(
          column,
          (reader, defined) -> {
            List<byte[]> values = new ArrayList<>();
            do {
              if (isDefined(reader)) {
                values.add(reader.getBinary().getBytes());
              } else if (reader.getCurrentDefinitionLevel() >= element) {
                values.add(null);
              }
              reader.consume();
            } while (reader.getCurrentRepetitionLevel() > 0);
            return values;
          });
    }

    /** The definition level from which on a list has an element; beyond all without a list. */
    private int elementLevel(String... column) {
      for (int depth = column.length; depth > 0; depth--) {
        String[] outer = Arrays.copyOf(column, depth);
        if (schema.getType(outer).isRepetition(Type.Repetition.REPEATED)) {
          return schema.getMaxDefinitionLevel(outer);
        }
      }
      return Integer.MAX_VALUE;
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
        throw failure.apply(e);
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
