package io.github.kklip.store.shards;

import static io.github.kklip.config.Message.message;

import io.github.kklip.store.Identity;
import io.github.kklip.store.ProcessingSettings;
import io.github.kklip.store.Shard;
import io.github.kklip.store.VectorStorage;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.parquet.io.api.Binary;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.MessageTypeParser;

/**
 * Writes the vectors of one pair shard, one for each of its rows, in its order. {@link #commit}
 * refuses when rows are missing or were in another order.
 */
public final class VectorWriter implements Closeable {
  static final String DIMENSION = "kklip.dimension";
  static final String STORAGE = "kklip.storage";

  private final RowGroupWriter writer;
  private final Path path;
  private final Shard shard;
  private final String settingsDigest;
  private final int dimension;
  private final VectorStorage storage;
  private final Identity.Rows identity = new Identity.Rows();

  /**
   * @param shard the pairs that the vectors belong to
   * @param rowsPerGroup as in the pair shard, so that row groups cover about the same rows
   */
  public VectorWriter(
      Configuration configuration,
      Path path,
      Shard shard,
      ProcessingSettings settings,
      int dimension,
      VectorStorage storage,
      int rowsPerGroup)
      throws IOException {
    this.path = path;
    this.shard = shard;
    this.settingsDigest = settings.digest();
    this.dimension = dimension;
    this.storage = storage;
    this.writer = new RowGroupWriter(configuration, path, schema(storage, dimension), rowsPerGroup);
  }

  static MessageType schema(VectorStorage storage, int dimension) {
    String column =
        switch (storage) {
          case FLOAT32 ->
              "required group embedding (LIST) { repeated group list { required float element; } }";
          case FLOAT16 -> "required fixed_len_byte_array(" + 2 * dimension + ") embedding;";
        };
    return MessageTypeParser.parseMessageType(
        "message vector { required binary id (STRING); " + column + " }");
  }

  /** Writes the next row; {@code values} is not kept. */
  public void write(String id, float[] values) throws IOException {
    if (values.length != dimension) {
      throw new IllegalArgumentException(
          message(
              "Cannot write a vector of %s numbers to %s: it has %s.",
              values.length, path, dimension));
    }
    writer.startRow((long) values.length * Float.BYTES);
    writer.text(0, id);
    switch (storage) {
      case FLOAT32 -> writer.floats(1, values);
      case FLOAT16 -> writer.binary(1, halves(values));
    }
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
    writer.commit(
        new Footer(settingsDigest, shard.identity())
            .with(Map.of(DIMENSION, Integer.toString(dimension), STORAGE, storage.keyword())));
  }

  @Override
  public void close() throws IOException {
    writer.close();
  }

  private static Binary halves(float[] values) {
    ByteBuffer bytes =
        ByteBuffer.allocate(values.length * Short.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    for (float value : values) {
      bytes.putShort(HalfPrecision.of(value));
    }
    return Binary.fromConstantByteArray(bytes.array());
  }
}
