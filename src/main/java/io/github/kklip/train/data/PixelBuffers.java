package io.github.kklip.train.data;

import static io.github.kklip.config.Message.message;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.Queue;

/** Memory for the pixels of batches, used again and again. Not thread-safe. */
final class PixelBuffers {
  private static final int ALIGNMENT = 64;

  private final int rows;
  private final long bytes;
  private final Queue<ByteBuffer> free = new ArrayDeque<>();

  /**
   * @param rows of a batch
   * @param values of one row
   */
  PixelBuffers(int rows, int values) {
    this.rows = rows;
    bytes = (long) rows * values * Float.BYTES;
  }

  /** Bytes of one buffer. */
  long bytes() {
    return bytes;
  }

  ByteBuffer take() {
    ByteBuffer buffer = free.poll();
    if (buffer != null) {
      return buffer;
    }
    if (bytes > Integer.MAX_VALUE - ALIGNMENT) {
      throw new IllegalArgumentException(
          message(
              "Cannot hold the decoded images of %s rows in one buffer of 2 GiB: they take %s bytes. Use more ranks, or a smaller train.batch.",
              rows, bytes));
    }
    // Aligned, so that libtorch's choice of kernels, and with it the last bits of the results,
    // does not depend on where the buffer happens to lie.
    return ByteBuffer.allocateDirect((int) bytes + ALIGNMENT)
        .alignedSlice(ALIGNMENT)
        .limit((int) bytes)
        .slice()
        .order(ByteOrder.nativeOrder());
  }

  void give(ByteBuffer buffer) {
    free.add(buffer);
  }
}
