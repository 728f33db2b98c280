package io.github.kklip.store;

import ai.djl.ndarray.types.DataType;

/** Element types of safetensors files that this program reads and writes. */
public enum SafetensorsType {
  F64(8, DataType.FLOAT64),
  F32(4, DataType.FLOAT32),
  F16(2, DataType.FLOAT16),
  BF16(2, DataType.BFLOAT16),
  I64(8, DataType.INT64),
  I32(4, DataType.INT32),
  I8(1, DataType.INT8),
  U8(1, DataType.UINT8),
  BOOL(1, DataType.BOOLEAN);

  private final int bytes;
  private final DataType dataType;

  SafetensorsType(int bytes, DataType dataType) {
    this.bytes = bytes;
    this.dataType = dataType;
  }

  /** Bytes of one element. */
  public int bytes() {
    return bytes;
  }

  /** The type of the arrays that hold such elements. */
  public DataType dataType() {
    return dataType;
  }

  /** The type in which elements of {@code dataType} are stored. */
  public static SafetensorsType of(DataType dataType) {
    for (SafetensorsType type : values()) {
      if (type.dataType == dataType) {
        return type;
      }
    }
    throw new IllegalArgumentException(
        "Cannot store a tensor because safetensors files have no such type: " + dataType + ".");
  }
}
