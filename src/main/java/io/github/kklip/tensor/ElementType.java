package io.github.kklip.tensor;

import static io.github.kklip.config.Message.message;

import ai.djl.ndarray.types.DataType;

/**
 * The types of elements that this project computes with or reads from files. DJL's own enumeration
 * maps bfloat16 wrongly in several native calls and aborts the process, so bfloat16 goes by
 * libtorch's code only.
 */
public enum ElementType {
  FLOAT32(6, 4, "F32", DataType.FLOAT32),
  FLOAT64(7, 8, "F64", DataType.FLOAT64),
  FLOAT16(5, 2, "F16", DataType.FLOAT16),
  BFLOAT16(15, 2, "BF16", null),
  INT64(4, 8, "I64", DataType.INT64),
  INT32(3, 4, "I32", DataType.INT32),
  UINT8(0, 1, "U8", DataType.UINT8),
  BOOL(11, 1, "BOOL", DataType.BOOLEAN);

  private final int scalarType;
  private final int bytes;
  private final String safetensorsName;
  private final DataType dataType;

  ElementType(int scalarType, int bytes, String safetensorsName, DataType dataType) {
    this.scalarType = scalarType;
    this.bytes = bytes;
    this.safetensorsName = safetensorsName;
    this.dataType = dataType;
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

  /** DJL's name of the type; bfloat16 has none that can be used. */
  DataType dataType() {
    if (dataType == null) {
      throw new IllegalArgumentException(
          message(
              "Cannot make an array through DJL, because its calls abort on the type: %s. Cast with Torch.cast.",
              this));
    }
    return dataType;
  }

  /** The type with this name in a safetensors header. */
  public static ElementType ofSafetensors(String name) {
    for (ElementType type : values()) {
      if (type.safetensorsName.equals(name)) {
        return type;
      }
    }
    throw new IllegalArgumentException(
        message(
            "Cannot read a tensor, because its element type is not supported: %s. Convert it to F32, F16 or BF16.",
            name));
  }
}
