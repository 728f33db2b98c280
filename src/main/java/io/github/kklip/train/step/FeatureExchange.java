package io.github.kklip.train.step;

import static io.github.kklip.config.Message.message;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.comms.Collective;
import io.github.kklip.comms.Work;
import io.github.kklip.comms.transport.RankShards;
import io.github.kklip.config.ElementType;
import io.github.kklip.tensor.Torch;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * Rows of one kind of features over all ranks: gathers [b, P] of every rank to [B, P], and brings
 * the gradients [B, P] that every rank has for all rows back as their sums, each rank its own [b,
 * P].
 */
final class FeatureExchange {
  private final Collective collective;
  private final int[] counts;
  private final int width;
  private final int offset;
  private final int rows;
  private final int total;
  private final ElementType type;
  private final ByteBuffer buffer;
  private Work pending;

  /**
   * @param rows of each rank
   * @param width P
   * @param type of the features
   */
  FeatureExchange(Collective collective, int[] rows, int width, ElementType type) {
    this.type = type;
    this.collective = collective;
    this.width = width;
    this.rows = rows[collective.rank()];
    offset = RankShards.start(rows, collective.rank());
    total = Arrays.stream(rows).sum();
    long bytes = (long) total * width * type.bytes();
    if (bytes > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          message(
              "Cannot gather the features of a batch of %s rows because they take %s bytes, over 2 GiB. Use a smaller train.batch.",
              total, bytes));
    }
    counts = Arrays.stream(rows).map(count -> count * width).toArray();
    buffer = ByteBuffer.allocateDirect((int) bytes).order(ByteOrder.nativeOrder());
  }

  /** [b, P] of zeros, for this rank's features. */
  NDArray zeros(NDManager manager) {
    return Torch.zeros(manager, new Shape(rows, width), type);
  }

  /** Starts to gather this rank's features. */
  void gather(NDArray features) {
    Torch.read(features, local(), type);
    pending = collective.allGather(buffer, type, counts);
  }

  /** The features of all ranks, in rank order, in an array of {@code manager}. */
  NDArray gathered(NDManager manager) {
    pending.await();
    return array(manager, buffer, total);
  }

  /** Starts to sum the gradients of all rows. Overwrites what was gathered. */
  void scatter(NDArray gradient) {
    Torch.read(gradient, buffer.duplicate(), type);
    pending = collective.reduceScatter(buffer, type, counts);
  }

  /** The summed gradient of this rank's rows. */
  NDArray scattered(NDManager manager) {
    pending.await();
    return array(manager, local(), rows);
  }

  private ByteBuffer local() {
    int row = width * type.bytes();
    return buffer.slice(offset * row, rows * row).order(ByteOrder.nativeOrder());
  }

  /** A copy on the manager's device: the buffer is used again while the array lives. */
  private NDArray array(NDManager manager, ByteBuffer bytes, int count) {
    NDArray view = Torch.wrap(manager, bytes, new Shape(count, width), type);
    return manager.getDevice().isGpu() ? Torch.send(manager, view) : Torch.clone(manager, view);
  }
}
