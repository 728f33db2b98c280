package io.github.kklip.store.shards;

import static io.github.kklip.config.Message.message;

import io.github.kklip.store.Identity;
import io.github.kklip.store.ProcessingSettings;
import io.github.kklip.store.Shard;
import java.io.Closeable;
import java.io.IOException;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.MessageTypeParser;

/**
 * Writes the soft concept labels of one pair shard, one for each of its rows, in its order. {@link
 * #commit} refuses when rows are missing or were in another order.
 */
public final class LabelWriter implements Closeable {
  static final MessageType SCHEMA =
      MessageTypeParser.parseMessageType(
          "message label { required binary id (STRING);"
              + " required group concepts (LIST) { repeated group list { required int32 element; } }"
              + " required group weights (LIST) { repeated group list { required float element; } }"
              + " }");

  private final RowGroupWriter writer;
  private final Path path;
  private final Shard shard;
  private final String settingsDigest;
  private final Identity.Rows identity = new Identity.Rows();

  /**
   * @param shard the pairs that the labels belong to
   * @param rowsPerGroup as in the pair shard, so that row groups cover about the same rows
   */
  public LabelWriter(
      Configuration configuration,
      Path path,
      Shard shard,
      ProcessingSettings settings,
      int rowsPerGroup)
      throws IOException {
    this.path = path;
    this.shard = shard;
    this.settingsDigest = settings.digest();
    this.writer = new RowGroupWriter(configuration, path, SCHEMA, rowsPerGroup);
  }

  public void write(String id, int[] concepts, float[] weights) throws IOException {
    if (concepts.length != weights.length) {
      throw new IllegalArgumentException(
          message(
              "Cannot write a label of %s concepts and %s weights to %s.",
              concepts.length, weights.length, path));
    }
    writer.startRow(8L * concepts.length);
    writer.text(0, id);
    writer.integers(1, concepts);
    writer.floats(2, weights);
    writer.endRow();
    identity.add(id);
  }

  public void commit() throws IOException {
    String written = identity.hexAndReset();
    if (writer.rows() != shard.rows() || !written.equals(shard.identity())) {
      throw new IllegalStateException(
          message(
              "Cannot publish %s because its rows are not those of %s: %s rows of identity %s.",
              path, shard, writer.rows(), written));
    }
    writer.commit(new Footer(settingsDigest, shard.identity()).with(Map.of()));
  }

  @Override
  public void close() throws IOException {
    writer.close();
  }
}
