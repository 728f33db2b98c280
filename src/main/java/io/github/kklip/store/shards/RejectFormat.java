package io.github.kklip.store.shards;

import io.github.kklip.store.Reject;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.MessageTypeParser;

/** Rejects, which belong to no pair. */
public record RejectFormat() implements RowFormat<Reject> {
  /** Rejects of a row group at most. */
  public static final int ROWS_PER_GROUP = 65_536;

  private static final MessageType SCHEMA =
      MessageTypeParser.parseMessageType(
          "message reject {"
              + " required binary source (STRING);"
              + " required binary key (STRING);"
              + " required binary reason (STRING);"
              + " required binary detail (STRING); }");

  @Override
  public MessageType schema() {
    return SCHEMA;
  }

  @Override
  public long bytes(Reject reject) {
    return reject.source().length() + (long) reject.detail().length();
  }

  @Override
  public void write(Reject reject, RowGroupWriter cells) {
    cells.text(0, reject.source());
    cells.text(1, reject.key());
    cells.text(2, reject.reason());
    cells.text(3, reject.detail());
  }

  @Override
  public List<Reject> read(RowGroupReader.Columns columns) throws IOException {
    List<String> sources = columns.texts("source");
    List<String> keys = columns.texts("key");
    List<String> reasons = columns.texts("reason");
    List<String> details = columns.texts("detail");
    List<Reject> rejects = new ArrayList<>(columns.rows());
    for (int i = 0; i < columns.rows(); i++) {
      rejects.add(new Reject(sources.get(i), keys.get(i), reasons.get(i), details.get(i)));
    }
    return rejects;
  }

  @Override
  public String id(Reject reject) {
    return null;
  }
}
