package io.github.kklip.ingest;

import io.github.kklip.store.Label;
import io.github.kklip.store.Vector;
import java.nio.ByteBuffer;

/**
 * A derived row as bytes, which every Spark serializer carries, without its id.
 *
 * @param <T> one row
 */
interface RowBytes<T> extends java.io.Serializable {
  byte[] write(T row);

  T read(String id, byte[] bytes);

  /** Embeddings: their numbers. */
  record Vectors() implements RowBytes<Vector> {
    @Override
    public byte[] write(Vector row) {
      ByteBuffer bytes = ByteBuffer.allocate(row.values().length * Float.BYTES);
      bytes.asFloatBuffer().put(row.values());
      return bytes.array();
    }

    @Override
    public Vector read(String id, byte[] bytes) {
      float[] values = new float[bytes.length / Float.BYTES];
      ByteBuffer.wrap(bytes).asFloatBuffer().get(values);
      return new Vector(id, values);
    }
  }

  /** Labels: as many concepts as weights. */
  record Labels() implements RowBytes<Label> {
    @Override
    public byte[] write(Label row) {
      ByteBuffer bytes = ByteBuffer.allocate(row.concepts().length * (Integer.BYTES + Float.BYTES));
      for (int i = 0; i < row.concepts().length; i++) {
        bytes.putInt(row.concepts()[i]).putFloat(row.weights()[i]);
      }
      return bytes.array();
    }

    @Override
    public Label read(String id, byte[] bytes) {
      ByteBuffer in = ByteBuffer.wrap(bytes);
      int[] concepts = new int[bytes.length / (Integer.BYTES + Float.BYTES)];
      float[] weights = new float[concepts.length];
      for (int i = 0; i < concepts.length; i++) {
        concepts[i] = in.getInt();
        weights[i] = in.getFloat();
      }
      return new Label(id, concepts, weights);
    }
  }
}
