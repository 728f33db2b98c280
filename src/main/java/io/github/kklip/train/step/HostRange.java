package io.github.kklip.train.step;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.comms.Collective;
import io.github.kklip.config.ElementType;
import io.github.kklip.tensor.FlatTensor;
import io.github.kklip.tensor.Torch;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Elements of a flat tensor where a collective can reach them: the tensor's own memory on the CPU,
 * and on a GPU where the collective takes it; else a host buffer, also when they travel as another
 * type. The tensor has to outlive it.
 */
final class HostRange implements AutoCloseable {
  private final NDArray range;
  private final ByteBuffer buffer;
  private final boolean copied;
  private final ElementType type;

  /**
   * A range of a flat tensor.
   *
   * @param type as which its elements travel: the tensor's own, or BFLOAT16
   * @param collective that carries them
   */
  HostRange(NDArray flat, FlatTensor.Range place, ElementType type, Collective collective) {
    range = Torch.view(flat.getManager(), flat, place.from(), new Shape(place.length()));
    this.type = type;
    boolean reached = flat.getDevice().equals(Device.cpu()) || collective.takesDeviceMemory();
    copied = !reached || type == ElementType.BFLOAT16;
    buffer =
        copied
            ? ByteBuffer.allocateDirect((int) place.length() * type.bytes())
                .order(ByteOrder.nativeOrder())
            : flat.getDevice().isGpu() ? Torch.deviceMemory(range, this.type) : Torch.memory(range);
  }

  /** The elements as they are in the tensor now. */
  ByteBuffer read() {
    if (copied) {
      Torch.read(range, buffer, type);
    }
    return buffer;
  }

  /** Puts what the buffer holds into the tensor. */
  void write() {
    if (copied) {
      Torch.write(range, buffer, type);
    }
  }

  @Override
  public void close() {
    range.close();
  }
}
