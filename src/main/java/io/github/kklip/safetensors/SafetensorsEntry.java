package io.github.kklip.safetensors;

import io.github.kklip.config.ElementType;
import java.util.List;

/**
 * One tensor in a safetensors file.
 *
 * @param begin first byte, from the start of the file
 * @param end byte after the last, from the start of the file
 */
public record SafetensorsEntry(
    String name, ElementType type, List<Long> shape, long begin, long end) {
  public SafetensorsEntry {
    shape = List.copyOf(shape);
  }

  /** Bytes of the tensor. */
  public long size() {
    return end - begin;
  }

  /** Bytes that a tensor of this type and shape has; an {@link ArithmeticException} past 2^63. */
  static long sizeOf(ElementType type, List<Long> shape) {
    long size = type.bytes();
    for (long extent : shape) {
      size = Math.multiplyExact(size, extent);
    }
    return size;
  }
}
