package io.github.kklip.train.step;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.kklip.comms.Collective;
import io.github.kklip.comms.Work;
import io.github.kklip.comms.transport.RankShards;
import io.github.kklip.config.ElementType;
import io.github.kklip.tensor.Torch;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/** A number for the image of each row of the global batch: gathers those of all ranks. */
final class ImageNumbers {
  private final Collective collective;
  private final int offset;
  private final int[] bytes;
  private final ByteBuffer buffer;
  private Work pending;

  /**
   * @param rows of each rank
   */
  ImageNumbers(Collective collective, int[] rows) {
    this.collective = collective;
    offset = RankShards.start(rows, collective.rank());
    bytes = Arrays.stream(rows).map(count -> count * Long.BYTES).toArray();
    buffer = ByteBuffer.allocateDirect(Arrays.stream(bytes).sum()).order(ByteOrder.nativeOrder());
  }

  /** Starts to gather this rank's numbers. */
  void gather(long[] own) {
    buffer.asLongBuffer().put(offset, own);
    pending = collective.allGather(buffer, ElementType.UINT8, bytes);
  }

  /** The numbers of all ranks, int64 [B]. */
  NDArray gathered(NDManager manager) {
    pending.await();
    long[] numbers = new long[buffer.capacity() / Long.BYTES];
    buffer.asLongBuffer().get(numbers);
    return Torch.send(manager, manager.create(numbers));
  }
}
