package io.github.kklip.config;

/**
 * The types of elements that this project computes with, sends between ranks or reads from files.
 */
public enum ElementType {
  FLOAT32(6, Float.BYTES, "F32"),
  FLOAT64(7, Double.BYTES, "F64"),
  FLOAT16(5, Short.BYTES, "F16"),
  /** The upper half of a float32. */
  BFLOAT16(15, Short.BYTES, "BF16"),
  INT64(4, Long.BYTES, "I64"),
  INT32(3, Integer.BYTES, "I32"),
  /** Bytes, also those that ranks only move. */
  UINT8(0, Byte.BYTES, "U8"),
  BOOL(11, Byte.BYTES, "BOOL");

  private final int scalarType;
  private final int bytes;
  private final String safetensorsName;

  ElementType(int scalarType, int bytes, String safetensorsName) {
    this.scalarType = scalarType;
    this.bytes = bytes;
    this.safetensorsName = safetensorsName;
  }

  /** libtorch's code of the type, as TorchScript takes it for a {@code dtype}. */
  public int scalarType() {
    return scalarType;
  }

  /** Bytes of one element. */
  public int bytes() {
    return bytes;
  }

  /** The name in a safetensors header. */
  public String safetensorsName() {
    return safetensorsName;
  }
}
