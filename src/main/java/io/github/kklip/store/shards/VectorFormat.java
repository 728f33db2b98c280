package io.github.kklip.store.shards;

import static io.github.kklip.config.Message.message;

import io.github.kklip.store.Vector;
import io.github.kklip.store.VectorStorage;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.parquet.io.api.Binary;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.MessageTypeParser;

/**
 * Vectors: fixed-length bytes of little-endian numbers.
 *
 * @param storage how their numbers are held
 * @param dimension numbers of one vector
 * @param lists whether float32 is a Parquet list, as in files of format 1, which are only read
 */
public record VectorFormat(VectorStorage storage, int dimension, boolean lists)
    implements RowFormat<Vector> {
  /** For reading: the file says storage and dimension. */
  public static final VectorFormat AS_STORED = new VectorFormat(VectorStorage.FLOAT32, 0);

  private static final String DIMENSION = "kklip.dimension";
  private static final String STORAGE = "kklip.storage";
  private static final String EMBEDDING = "embedding";

  /** For writing. */
  public VectorFormat(VectorStorage storage, int dimension) {
    this(storage, dimension, false);
  }

  /** Numbers of one vector of a file. */
  public static int dimension(ShardReader<Vector> vectors) {
    return ((VectorFormat) vectors.format()).dimension;
  }

  @Override
  public VectorFormat in(RowGroupReader file) {
    return new VectorFormat(
        storage(file.metadata().get(STORAGE)),
        Integer.parseInt(file.metadata().get(DIMENSION)),
        !file.schema().getType(EMBEDDING).isPrimitive());
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

  @Override
  public MessageType schema() {
    String column =
        lists
            ? "required group embedding (LIST) { repeated group list { required float element; } }"
            : "required fixed_len_byte_array(" + storage.bytes() * dimension + ") embedding;";
    return MessageTypeParser.parseMessageType(
        "message vector { required binary id (STRING); " + column + " }");
  }

  @Override
  public Map<String, String> metadata() {
    return Map.of(DIMENSION, Integer.toString(dimension), STORAGE, storage.keyword());
  }

  @Override
  public long bytes(Vector vector) {
    return (long) vector.values().length * storage.bytes();
  }

  @Override
  public void write(Vector vector, RowGroupWriter cells) {
    if (vector.values().length != dimension) {
      throw new IllegalArgumentException(
          message(
              "Cannot write a vector of %s numbers to a file of vectors of %s.",
              vector.values().length, dimension));
    }
    cells.text(0, vector.id());
    cells.binary(1, Binary.fromConstantByteArray(bytes(vector.values())));
  }

  @Override
  public List<Vector> read(RowGroupReader.Columns columns) throws IOException {
    List<String> ids = columns.texts("id");
    List<float[]> values =
        lists
            ? columns.floatLists(EMBEDDING, "list", "element")
            : columns.binaries(EMBEDDING).stream().map(this::floats).toList();
    List<Vector> vectors = new ArrayList<>(ids.size());
    for (int i = 0; i < ids.size(); i++) {
      vectors.add(new Vector(ids.get(i), values.get(i)));
    }
    return vectors;
  }

  @Override
  public String id(Vector vector) {
    return vector.id();
  }

  private float[] floats(byte[] bytes) {
    ByteBuffer numbers = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    float[] values = new float[dimension];
    for (int i = 0; i < dimension; i++) {
      values[i] =
          switch (storage) {
            case FLOAT32 -> numbers.getFloat();
            case FLOAT16 -> HalfPrecision.toFloat(numbers.getShort());
          };
    }
    return values;
  }

  private byte[] bytes(float[] values) {
    ByteBuffer numbers =
        ByteBuffer.allocate(values.length * storage.bytes()).order(ByteOrder.LITTLE_ENDIAN);
    for (float value : values) {
      switch (storage) {
        case FLOAT32 -> numbers.putFloat(value);
        case FLOAT16 -> numbers.putShort(HalfPrecision.of(value));
      }
    }
    return numbers.array();
  }
}
