package io.github.kklip.store.shards;

import io.github.kklip.store.Reject;
import java.io.Closeable;
import java.io.IOException;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.MessageTypeParser;

/** Writes one file of rejects; nothing remains of it without {@link #commit}. */
public final class RejectWriter implements Closeable {
  static final MessageType SCHEMA =
      MessageTypeParser.parseMessageType(
          "message reject {"
              + " required binary source (STRING);"
              + " required binary key (STRING);"
              + " required binary reason (STRING);"
              + " required binary detail (STRING); }");

  private static final int ROWS_PER_GROUP = 65_536;

  private final RowGroupWriter writer;

  public RejectWriter(Configuration configuration, Path path) throws IOException {
    writer = new RowGroupWriter(configuration, path, SCHEMA, ROWS_PER_GROUP);
  }

  public void write(Reject reject) throws IOException {
    writer.startRow(reject.source().length() + (long) reject.detail().length());
    writer.text(0, reject.source());
    writer.text(1, reject.key());
    writer.text(2, reject.reason());
    writer.text(3, reject.detail());
    writer.endRow();
  }

  public long rows() {
    return writer.rows();
  }

  public void commit() throws IOException {
    writer.commit(Map.of());
  }

  @Override
  public void close() throws IOException {
    writer.close();
  }
}
