package io.github.kklip.store.shards;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.parquet.format.ColumnChunk;
import org.apache.parquet.format.Encoding;
import org.apache.parquet.format.FileMetaData;
import org.apache.parquet.format.RowGroup;
import org.apache.parquet.format.Util;
import org.apache.parquet.io.PositionOutputStream;

/**
 * A Parquet file on its way out, whose footer lists a column's encodings in a fixed order. Parquet
 * lists them as a hash set of constants happens to, which is different in each process: equal rows
 * would not give equal bytes.
 */
final class OrderedFooter extends PositionOutputStream {
  /** After the footer come its length and the magic number. */
  private static final int TRAILER_BYTES = 8;

  private final PositionOutputStream out;

  /** What came since {@link #begin}; null before. */
  private ByteArrayOutputStream held;

  private boolean closed;

  OrderedFooter(PositionOutputStream out) {
    this.out = out;
  }

  /** From here on comes what follows the row groups. */
  void begin() {
    held = new ByteArrayOutputStream();
  }

  @Override
  public long getPos() throws IOException {
    return out.getPos() + (held == null ? 0 : held.size());
  }

  @Override
  public void write(int value) throws IOException {
    if (held == null) {
      out.write(value);
    } else {
      held.write(value);
    }
  }

  @Override
  public void write(byte[] bytes, int offset, int length) throws IOException {
    if (held == null) {
      out.write(bytes, offset, length);
    } else {
      held.write(bytes, offset, length);
    }
  }

  @Override
  public void flush() throws IOException {
    out.flush();
  }

  @Override
  public void close() throws IOException {
    if (closed) {
      return;
    }
    closed = true;
    try (out) {
      // Without a whole footer the file is given up.
      if (held != null && held.size() > TRAILER_BYTES) {
        out.write(ordered(held.toByteArray()));
      }
    }
  }

  private static byte[] ordered(byte[] end) throws IOException {
    int footerEnd = end.length - TRAILER_BYTES;
    int length = ByteBuffer.wrap(end).order(ByteOrder.LITTLE_ENDIAN).getInt(footerEnd);
    int start = footerEnd - length;
    FileMetaData footer = Util.readFileMetaData(new ByteArrayInputStream(end, start, length));
    for (RowGroup group : footer.getRow_groups()) {
      for (ColumnChunk column : group.getColumns()) {
        List<Encoding> encodings = new ArrayList<>(column.getMeta_data().getEncodings());
        encodings.sort(null);
        column.getMeta_data().setEncodings(encodings);
      }
    }
    ByteArrayOutputStream result = new ByteArrayOutputStream(end.length);
    result.write(end, 0, start);
    Util.writeFileMetaData(footer, result);
    byte[] trailer = Arrays.copyOfRange(end, footerEnd, end.length);
    ByteBuffer.wrap(trailer).order(ByteOrder.LITTLE_ENDIAN).putInt(0, result.size() - start);
    result.write(trailer);
    return result.toByteArray();
  }
}
