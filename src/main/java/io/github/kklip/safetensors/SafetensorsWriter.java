package io.github.kklip.safetensors;

import static io.github.kklip.config.Message.message;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import io.github.kklip.config.ElementType;
import io.github.kklip.tensor.Torch;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.channels.WritableByteChannel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * Writes tensors as one safetensors file. Equal tensors and metadata give equal bytes, in whatever
 * order they were added: tensors stand by element size, largest first (so that each is aligned),
 * then by name.
 *
 * <p>The tensors' memory is only read in {@link #writeTo}; it has to stay valid and unchanged until
 * then.
 */
public final class SafetensorsWriter {
  /** Writes a tensor's bytes, little-endian and in row-major order. */
  private interface TensorContent {
    void writeTo(WritableByteChannel channel) throws IOException;
  }

  private record Tensor(String name, ElementType type, List<Long> shape, TensorContent content) {
    long size() {
      return SafetensorsEntry.sizeOf(type, shape);
    }
  }

  private static final int PIECE_BYTES = 1 << 22;

  /** Of arrays; one for all, because direct memory goes only when the collector comes by. */
  private ByteBuffer buffer;

  private final Map<String, String> metadata = new TreeMap<>();
  private final List<Tensor> tensors = new ArrayList<>();
  private final Set<String> names = new HashSet<>();

  /** Adds a text to the header's metadata. */
  public SafetensorsWriter metadata(String key, String value) {
    metadata.put(key, value);
    return this;
  }

  /** Adds a tensor from its bytes: little-endian, row-major, between position and limit. */
  public SafetensorsWriter add(String name, ElementType type, List<Long> shape, ByteBuffer bytes) {
    ByteBuffer content = bytes.duplicate();
    long size = SafetensorsEntry.sizeOf(type, shape);
    if (content.remaining() != size) {
      throw new IllegalArgumentException(
          message(
              "Cannot store tensor '%s' because type %s and shape %s take %s bytes and there are %s.",
              name, type, shape, size, content.remaining()));
    }
    return add(new Tensor(name, type, shape, channel -> writeAll(content.duplicate(), channel)));
  }

  /**
   * Adds a tensor on any device.
   *
   * @param type of the array's elements
   */
  public SafetensorsWriter add(String name, NDArray array, ElementType type) {
    return add(
        new Tensor(
            name, type, listed(array.getShape().getShape()), out -> write(array, type, out)));
  }

  /** Piece by piece, so that a tensor of any size on any device takes little memory here. */
  private void write(NDArray array, ElementType type, WritableByteChannel channel)
      throws IOException {
    long size = array.getShape().size();
    long piece = PIECE_BYTES / type.bytes();
    if (buffer == null) {
      long largest = tensors.stream().mapToLong(Tensor::size).max().orElseThrow();
      buffer =
          ByteBuffer.allocateDirect((int) Math.min(largest, PIECE_BYTES))
              .order(ByteOrder.nativeOrder());
    }
    try (NDManager scope = array.getManager().newSubManager();
        NDArray flat = Torch.module("tensor/core").call(scope, "reshape", array, new long[] {-1})) {
      for (long from = 0; from < size; from += piece) {
        long elements = Math.min(piece, size - from);
        buffer.clear().limit((int) (elements * type.bytes()));
        try (NDArray part = Torch.view(scope, flat, from, new Shape(elements))) {
          Torch.read(part, buffer, type);
        }
        writeAll(buffer.duplicate(), channel);
      }
    }
  }

  /** Adds a float32 tensor. */
  public SafetensorsWriter add(String name, float[] values, long... shape) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(values);
    return add(name, ElementType.FLOAT32, listed(shape), bytes);
  }

  /** Adds a float64 tensor. */
  public SafetensorsWriter add(String name, double[] values, long... shape) {
    ByteBuffer bytes = ByteBuffer.allocate(8 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asDoubleBuffer().put(values);
    return add(name, ElementType.FLOAT64, listed(shape), bytes);
  }

  /** Adds an int64 tensor. */
  public SafetensorsWriter add(String name, long[] values, long... shape) {
    ByteBuffer bytes = ByteBuffer.allocate(8 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asLongBuffer().put(values);
    return add(name, ElementType.INT64, listed(shape), bytes);
  }

  private SafetensorsWriter add(Tensor tensor) {
    if (tensor.name.equals("__metadata__") || !names.add(tensor.name)) {
      throw new IllegalArgumentException(
          message("Cannot store tensor '%s' because the name is taken.", tensor.name));
    }
    tensors.add(tensor);
    return this;
  }

  /**
   * Writes the file, tensor by tensor; does not close the stream.
   *
   * @throws IOException when the stream fails
   */
  public void writeTo(OutputStream out) throws IOException {
    List<Tensor> sorted = new ArrayList<>(tensors);
    sorted.sort(Comparator.comparingInt((Tensor t) -> -t.type.bytes()).thenComparing(Tensor::name));
    byte[] header = header(sorted);
    WritableByteChannel channel = Channels.newChannel(out);
    ByteBuffer length = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
    writeAll(length.putLong(header.length).flip(), channel);
    writeAll(ByteBuffer.wrap(header), channel);
    for (Tensor tensor : sorted) {
      tensor.content.writeTo(channel);
    }
  }

  private byte[] header(List<Tensor> sorted) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (JsonGenerator json = new JsonFactory().createGenerator(bytes)) {
      json.writeStartObject();
      if (!metadata.isEmpty()) {
        json.writeObjectFieldStart("__metadata__");
        for (Map.Entry<String, String> entry : metadata.entrySet()) {
          json.writeStringField(entry.getKey(), entry.getValue());
        }
        json.writeEndObject();
      }
      long offset = 0;
      for (Tensor tensor : sorted) {
        json.writeObjectFieldStart(tensor.name);
        json.writeStringField("dtype", tensor.type.safetensorsName());
        json.writeArrayFieldStart("shape");
        for (long extent : tensor.shape) {
          json.writeNumber(extent);
        }
        json.writeEndArray();
        json.writeArrayFieldStart("data_offsets");
        json.writeNumber(offset);
        offset += tensor.size();
        json.writeNumber(offset);
        json.writeEndArray();
        json.writeEndObject();
      }
      json.writeEndObject();
    }
    // Spaces up to a multiple of 8, so that every tensor is aligned in a mapping of the file.
    while (bytes.size() % 8 != 0) {
      bytes.write(' ');
    }
    if (bytes.size() > SafetensorsHeader.LARGEST) {
      throw new IOException(
          message(
              "Cannot write a safetensors file because its header would have %s bytes: the format allows %s.",
              bytes.size(), SafetensorsHeader.LARGEST));
    }
    return bytes.toByteArray();
  }

  private static void writeAll(ByteBuffer buffer, WritableByteChannel channel) throws IOException {
    while (buffer.hasRemaining()) {
      channel.write(buffer);
    }
  }

  private static List<Long> listed(long... shape) {
    return Arrays.stream(shape).boxed().toList();
  }
}
