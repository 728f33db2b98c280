package io.github.kklip.store.shards;

import io.github.kklip.store.publication.Publication;
import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.IOException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.parquet.bytes.BytesInput;
import org.apache.parquet.column.ColumnDescriptor;
import org.apache.parquet.column.ColumnWriteStore;
import org.apache.parquet.column.ColumnWriter;
import org.apache.parquet.column.Encoding;
import org.apache.parquet.column.ParquetProperties;
import org.apache.parquet.column.page.DictionaryPage;
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
 * is compressed: images are compressed already, vectors do not compress, and without a codec equal
 * rows give equal bytes on every platform. Dictionaries are only in columns that the format names
 * ({@link RowFormat#repeated}), and only in row groups of which the caller knows that values come
 * again.
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

  /** What one column of a row group wrote. */
  private static final class Pages {
    private final List<Page> data = new ArrayList<>();

    /** Null where there is none. */
    private DictionaryPage dictionary;
  }

  private final Publication publication;
  private final MessageType schema;
  private final int rowsPerGroup;
  private final Set<String> repeated;
  private final OrderedFooter out;
  private final ParquetFileWriter file;
  private final Map<ColumnDescriptor, Pages> pages = new LinkedHashMap<>();
  private ColumnWriteStore columns;
  private ColumnWriter[] writers;
  private int groupRows;
  private long groupBytes;
  private long rowBytes;
  private long rows;

  /**
   * @param rowsPerGroup rows that end a row group; 0: only {@link #newGroup} does
   * @param repeated columns whose values come again in row groups that are begun so
   */
  RowGroupWriter(
      Configuration configuration,
      Path path,
      MessageType schema,
      int rowsPerGroup,
      Set<String> repeated)
      throws IOException {
    this.schema = schema;
    this.rowsPerGroup = rowsPerGroup;
    this.repeated = repeated;
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
    startGroup(0);
  }

  private ParquetProperties properties(long repeatedBytes) {
    ParquetProperties.Builder properties =
        ParquetProperties.builder()
            .withWriterVersion(ParquetProperties.WriterVersion.PARQUET_1_0)
            .withDictionaryEncoding(false)
            .withMinRowCountForPageSizeCheck(1)
            .estimateRowCountForPageSizeCheck(false);
    if (repeatedBytes > 0) {
      // Parquet counts the values, not their numbers, against the size of a page, and gives a
      // dictionary up that saves nothing in the first page: all rows must be one page.
      int page = (int) Math.min(Integer.MAX_VALUE, 2 * repeatedBytes + (1 << 20));
      properties.withDictionaryPageSize(Integer.MAX_VALUE).withPageSize(page);
      repeated.forEach(column -> properties.withDictionaryEncoding(column, true));
    }
    return properties.build();
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
    if (rowsPerGroup > 0
        && (groupRows == rowsPerGroup || (groupRows > 0 && groupBytes + bytes > MAX_GROUP_BYTES))) {
      newGroup(0);
    }
    rowBytes = 0;
  }

  /**
   * Ends the row group.
   *
   * @param repeatedBytes of all rows of the next one where values of the repeated columns come
   *     again in it; 0 where they do not
   */
  void newGroup(long repeatedBytes) throws IOException {
    endGroup();
    startGroup(repeatedBytes);
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
    // Not the file, which the Parquet of Spark 3.5 has no method to close.
    out.close();
    return publication.commitByContent();
  }

  /** Without {@link #commit} nothing remains of the file. */
  @Override
  public void close() throws IOException {
    try (publication) {
      out.close();
    } finally {
      columns.close();
    }
  }

  private void startGroup(long repeatedBytes) {
    pages.clear();
    columns = properties(repeatedBytes).newColumnWriteStore(schema, this::pageWriter);
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
    for (Map.Entry<ColumnDescriptor, Pages> column : pages.entrySet()) {
      Pages written = column.getValue();
      long values = written.data.stream().mapToLong(Page::values).sum();
      file.startColumn(column.getKey(), values, CompressionCodecName.UNCOMPRESSED);
      if (written.dictionary != null) {
        file.writeDictionaryPage(written.dictionary);
      }
      for (Page page : written.data) {
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
    Pages collected = new Pages();
    pages.put(column, collected);
    return (PageWriter)
        Proxy.newProxyInstance(
            RowGroupWriter.class.getClassLoader(),
            new Class<?>[] {PageWriter.class},
            (proxy, method, arguments) -> collect(collected, method, arguments));
  }

  private static Object collect(Pages collected, Method method, Object[] arguments)
      throws IOException {
    return switch (method.getName()) {
      case "writePage" -> {
        int last = arguments.length - 1;
        collected.data.add(
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
      case "writeDictionaryPage" -> {
        collected.dictionary = ((DictionaryPage) arguments[0]).copy();
        yield null;
      }
      case "getMemSize", "allocatedSize" ->
          collected.data.stream().mapToLong(page -> page.bytes.size()).sum();
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
