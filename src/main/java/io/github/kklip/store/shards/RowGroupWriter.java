package io.github.kklip.store.shards;

import io.github.kklip.store.publication.Publication;
import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.IOException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.parquet.bytes.BytesInput;
import org.apache.parquet.column.ColumnDescriptor;
import org.apache.parquet.column.ColumnWriteStore;
import org.apache.parquet.column.ColumnWriter;
import org.apache.parquet.column.Encoding;
import org.apache.parquet.column.ParquetProperties;
import org.apache.parquet.column.page.PageWriter;
import org.apache.parquet.column.statistics.Statistics;
import org.apache.parquet.hadoop.ParquetFileWriter;
import org.apache.parquet.hadoop.metadata.CompressionCodecName;
import org.apache.parquet.io.OutputFile;
import org.apache.parquet.io.PositionOutputStream;
import org.apache.parquet.io.api.Binary;
import org.apache.parquet.schema.MessageType;

/**
 * Writes one Parquet file with row groups of a bounded number of rows and bytes.
 *
 * <p>Parquet's own row writer only bounds bytes, so that this class cuts the groups itself. Nothing
 * is compressed and there are no dictionaries: images are compressed already, vectors do not
 * compress, and without a codec equal rows give equal bytes on every platform.
 */
final class RowGroupWriter implements Closeable {
  /**
   * Rows and bytes that end a row group: the grain of shuffling and the bound on reading memory.
   */
  static final long MAX_GROUP_BYTES = 16L << 20;

  private static final int STATISTICS_LENGTH = 64;

  private record Page(
      BytesInput bytes,
      int values,
      int rows,
      Statistics<?> statistics,
      Encoding repetition,
      Encoding definition,
      Encoding encoding) {}

  private final Publication publication;
  private final MessageType schema;
  private final int rowsPerGroup;
  private final ParquetProperties properties;
  private final OrderedFooter out;
  private final ParquetFileWriter file;
  private final Map<ColumnDescriptor, List<Page>> pages = new java.util.LinkedHashMap<>();
  private ColumnWriteStore columns;
  private ColumnWriter[] writers;
  private int groupRows;
  private long groupBytes;
  private long rowBytes;
  private long rows;

  RowGroupWriter(Configuration configuration, Path path, MessageType schema, int rowsPerGroup)
      throws IOException {
    this.schema = schema;
    this.rowsPerGroup = rowsPerGroup;
    this.properties =
        ParquetProperties.builder()
            .withWriterVersion(ParquetProperties.WriterVersion.PARQUET_1_0)
            .withDictionaryEncoding(false)
            .withMinRowCountForPageSizeCheck(1)
            .estimateRowCountForPageSizeCheck(false)
            .build();
    this.publication = Publication.of(configuration, path);
    try {
      // Parquet's own Hadoop output would write checksum files on a local disk.
      this.out = new OrderedFooter(new PublicationStream(publication.create()));
      this.file =
          new ParquetFileWriter(
              new ParquetOutput(out),
              schema,
              ParquetFileWriter.Mode.OVERWRITE,
              MAX_GROUP_BYTES,
              0,
              STATISTICS_LENGTH,
              STATISTICS_LENGTH,
              true);
      file.start();
    } catch (IOException e) {
      publication.close();
      throw e;
    }
    startGroup();
  }

  long rows() {
    return rows;
  }

  void binary(int column, Binary value) {
    writers[column].write(value, 0, 0);
    rowBytes += value.length();
  }

  void text(int column, String value) {
    binary(column, Binary.fromString(value));
  }

  void integer(int column, int value) {
    writers[column].write(value, 0, 0);
    rowBytes += Integer.BYTES;
  }

  void longInteger(int column, long value) {
    writers[column].write(value, 0, 0);
    rowBytes += Long.BYTES;
  }

  /** A list column of required elements, that is one repeated and no optional level. */
  void floats(int column, float[] values) {
    ColumnWriter writer = writers[column];
    if (values.length == 0) {
      writer.writeNull(0, 0);
    }
    for (int i = 0; i < values.length; i++) {
      writer.write(values[i], i == 0 ? 0 : 1, 1);
    }
    rowBytes += (long) values.length * Float.BYTES;
  }

  /** A list column of required elements. */
  void integers(int column, int[] values) {
    ColumnWriter writer = writers[column];
    if (values.length == 0) {
      writer.writeNull(0, 0);
    }
    for (int i = 0; i < values.length; i++) {
      writer.write(values[i], i == 0 ? 0 : 1, 1);
    }
    rowBytes += (long) values.length * Integer.BYTES;
  }

  /** Must come before the cells of a row that has about so many bytes. */
  void startRow(long bytes) throws IOException {
    if (groupRows == rowsPerGroup || (groupRows > 0 && groupBytes + bytes > MAX_GROUP_BYTES)) {
      endGroup();
      startGroup();
    }
    rowBytes = 0;
  }

  void endRow() {
    columns.endRecord();
    groupBytes += rowBytes;
    groupRows++;
    rows++;
  }

  /** Ends the file, with these entries in its footer, and puts it in its place; returns that. */
  Path commit(Map<String, String> metadata) throws IOException {
    endGroup();
    out.begin();
    file.end(new TreeMap<>(metadata));
    file.close();
    return publication.commitByContent();
  }

  /** Without {@link #commit} nothing remains of the file. */
  @Override
  public void close() throws IOException {
    try (publication) {
      file.close();
    } finally {
      columns.close();
    }
  }

  private void startGroup() {
    pages.clear();
    columns = properties.newColumnWriteStore(schema, this::pageWriter);
    writers =
        schema.getColumns().stream().map(columns::getColumnWriter).toArray(ColumnWriter[]::new);
    groupRows = 0;
    groupBytes = 0;
  }

  private void endGroup() throws IOException {
    columns.flush();
    columns.close();
    if (groupRows == 0) {
      return;
    }
    file.startBlock(groupRows);
    for (Map.Entry<ColumnDescriptor, List<Page>> column : pages.entrySet()) {
      long values = column.getValue().stream().mapToLong(Page::values).sum();
      file.startColumn(column.getKey(), values, CompressionCodecName.UNCOMPRESSED);
      for (Page page : column.getValue()) {
        file.writeDataPage(
            page.values,
            Math.toIntExact(page.bytes.size()),
            page.bytes,
            page.statistics,
            page.rows,
            page.repetition,
            page.definition,
            page.encoding);
      }
      file.endColumn();
    }
    file.endBlock();
    groupRows = 0;
  }

  /**
   * Collects the pages of one column. A proxy, because the method that is called has one more
   * parameter (size statistics) in Parquet 1.15 than in the 1.13 of Spark 3.5.
   */
  private PageWriter pageWriter(ColumnDescriptor column) {
    List<Page> collected = new ArrayList<>();
    pages.put(column, collected);
    return (PageWriter)
        Proxy.newProxyInstance(
            RowGroupWriter.class.getClassLoader(),
            new Class<?>[] {PageWriter.class},
            (proxy, method, arguments) -> collect(collected, method, arguments));
  }

  private static Object collect(List<Page> collected, Method method, Object[] arguments)
      throws IOException {
    return switch (method.getName()) {
      case "writePage" -> {
        int last = arguments.length - 1;
        collected.add(
            new Page(
                copy((BytesInput) arguments[0]),
                (Integer) arguments[1],
                (Integer) arguments[2],
                (Statistics<?>) arguments[3],
                (Encoding) arguments[last - 2],
                (Encoding) arguments[last - 1],
                (Encoding) arguments[last]));
        yield null;
      }
      case "getMemSize", "allocatedSize" ->
          collected.stream().mapToLong(page -> page.bytes.size()).sum();
      case "memUsageString", "toString" -> "pages in memory";
      case "close" -> null;
      default -> throw new UnsupportedOperationException(method.toString());
    };
  }

  /** The writer uses the memory of a page again. */
  private static BytesInput copy(BytesInput bytes) throws IOException {
    ByteArrayOutputStream copy = new ByteArrayOutputStream(Math.toIntExact(bytes.size()));
    bytes.writeAllTo(copy);
    return BytesInput.from(copy.toByteArray());
  }

  private static final class PublicationStream extends PositionOutputStream {
    private final Publication.Output out;

    PublicationStream(Publication.Output out) {
      this.out = out;
    }

    @Override
    public long getPos() {
      return out.position();
    }

    @Override
    public void write(int value) throws IOException {
      out.write(value);
    }

    @Override
    public void write(byte[] bytes, int from, int length) throws IOException {
      out.write(bytes, from, length);
    }

    @Override
    public void flush() throws IOException {
      out.flush();
    }

    @Override
    public void close() throws IOException {
      out.close();
    }
  }

  private record ParquetOutput(PositionOutputStream out) implements OutputFile {
    @Override
    public PositionOutputStream create(long blockSize) {
      return out;
    }

    @Override
    public PositionOutputStream createOrOverwrite(long blockSize) {
      return out;
    }

    @Override
    public boolean supportsBlockSize() {
      return false;
    }

    @Override
    public long defaultBlockSize() {
      return 0;
    }
  }
}
