package io.github.kklip.train;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.tensor.ElementType;
import io.github.kklip.tensor.Torch;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/**
 * Elements of a flat float32 tensor where a collective can reach them: the tensor's own memory on
 * the CPU, a host buffer for a tensor on a GPU. The tensor has to outlive it.
 */
final class HostRange implements AutoCloseable {
  /** Elements of one range at the most, so that its bytes fit a buffer. */
  private static final long LARGEST = 1L << 28;

  private final NDArray range;
  private final ByteBuffer buffer;
  private final boolean copied;

  private HostRange(NDArray flat, long from, long length) {
    range = Torch.view(flat.getManager(), flat, from, new Shape(length));
    copied = !flat.getDevice().equals(Device.cpu());
    buffer =
        copied
            ? ByteBuffer.allocateDirect((int) (length * Float.BYTES)).order(ByteOrder.nativeOrder())
            : Torch.memory(range);
  }

  /** The elements {@code from} to {@code from + length} in as few ranges as fit a buffer each. */
  static List<HostRange> of(NDArray flat, long from, long length) {
    List<HostRange> ranges = new ArrayList<>();
    for (long done = 0; done < length; done += LARGEST) {
      ranges.add(new HostRange(flat, from + done, Math.min(LARGEST, length - done)));
    }
    return ranges;
  }

  /** The elements as they are in the tensor now. */
  ByteBuffer read() {
    if (copied) {
      Torch.read(range, buffer, ElementType.FLOAT32);
    }
    return buffer;
  }

  /** Puts what the buffer holds into the tensor. */
  void write() {
    if (copied) {
      Torch.write(range, buffer, ElementType.FLOAT32);
    }
  }

  @Override
  public void close() {
    range.close();
  }
}
