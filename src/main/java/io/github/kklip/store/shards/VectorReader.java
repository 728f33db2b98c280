package io.github.kklip.store.shards;

import static io.github.kklip.config.Message.message;

import io.github.kklip.store.ProcessingSettings;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Vector;
import io.github.kklip.store.VectorStorage;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.parquet.schema.MessageType;

/** Reads the vectors of one pair shard row group by row group, in any order. */
public final class VectorReader implements Closeable {
  private final RowGroupReader reader;
  private final int dimension;
  private final VectorStorage storage;
  private final MessageType schema;

  private VectorReader(RowGroupReader reader, int dimension, VectorStorage storage) {
    this.reader = reader;
    this.dimension = dimension;
    this.storage = storage;
    this.schema = VectorWriter.schema(storage, dimension);
  }

  /**
   * Opens the vectors of a shard.
   *
   * @throws IOException when there is no such file, it is damaged, was made with other settings or
   *     belongs to other pairs
   */
  public static VectorReader open(
      Configuration configuration, Path path, Shard shard, ProcessingSettings settings)
      throws IOException {
    RowGroupReader reader = RowGroupReader.open(configuration, path);
    try {
      new Footer(settings.digest(), shard.identity()).require(reader, path, shard);
      return new VectorReader(
          reader,
          Integer.parseInt(reader.metadata().get(VectorWriter.DIMENSION)),
          storage(reader.metadata().get(VectorWriter.STORAGE)));
    } catch (IOException | RuntimeException e) {
      reader.close();
      throw e;
    }
  }

  /** Numbers of one vector. */
  public int dimension() {
    return dimension;
  }

  public int rowGroups() {
    return reader.groups();
  }

  public long rows() {
    return reader.rows();
  }

  /** Rows of one row group. */
  public int rows(int group) {
    return reader.rows(group);
  }

  /** Reads one row group, in the order of the rows. */
  public List<Vector> readGroup(int group) throws IOException {
    RowGroupReader.Columns columns = reader.read(group, schema);
    List<String> ids = columns.texts("id");
    List<float[]> values =
        switch (storage) {
          case FLOAT32 -> columns.floatLists("embedding", "list", "element");
          case FLOAT16 -> columns.binaries("embedding").stream().map(VectorReader::floats).toList();
        };
    List<Vector> vectors = new ArrayList<>(ids.size());
    for (int i = 0; i < ids.size(); i++) {
      vectors.add(new Vector(ids.get(i), values.get(i)));
    }
    return vectors;
  }

  @Override
  public void close() throws IOException {
    reader.close();
  }

  private static VectorStorage storage(String keyword) {
    for (VectorStorage storage : VectorStorage.values()) {
      if (storage.keyword().equals(keyword)) {
        return storage;
      }
    }
    throw new IllegalArgumentException(
        message(
            "Cannot read vectors stored as %s: this version knows float32 and float16.", keyword));
  }

  private static float[] floats(byte[] bytes) {
    ByteBuffer halves = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    float[] values = new float[bytes.length / Short.BYTES];
    for (int i = 0; i < values.length; i++) {
      values[i] = HalfPrecision.toFloat(halves.getShort());
    }
    return values;
  }
}
