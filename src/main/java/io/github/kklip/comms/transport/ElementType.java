package io.github.kklip.comms.transport;

/** What the bytes of a collective operation hold, in the machine's own byte order. */
public enum ElementType {
  FLOAT32(Float.BYTES),
  FLOAT64(Double.BYTES),
  /** The upper half of a float32; added as float32 and rounded to the nearest, ties to even. */
  BFLOAT16(Short.BYTES),
  /** Bytes that are moved, never summed. */
  INT8(Byte.BYTES);

  private final int bytes;

  ElementType(int bytes) {
    this.bytes = bytes;
  }

  /** Size of one element in bytes. */
  public int bytes() {
    return bytes;
  }
}
