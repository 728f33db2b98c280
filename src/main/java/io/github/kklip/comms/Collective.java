package io.github.kklip.comms;

import io.github.kklip.comms.transport.CollectiveException;
import io.github.kklip.config.ElementType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * What the ranks of a training job do together. All ranks call the same operations in the same
 * order with the same types and counts; operations run one after the other on a thread of the
 * collective, so that the caller goes on computing until it awaits the {@link Work}.
 *
 * <p>Every operation works in place on the bytes from a buffer's position to its limit, which stay
 * as they are. The elements lie in native byte order; direct buffers are not copied. Until the
 * operation is done the caller neither touches nor frees the memory.
 *
 * <p>Results depend on the number of ranks and the transport, never on timing, and are the same
 * bytes on every rank. TCP and shared memory give the same bytes.
 */
public interface Collective extends AutoCloseable {
  /** This process's number, from 0 to {@code size() - 1}. */
  int rank();

  /** The number of ranks. */
  int size();

  /** What carries the bytes; sums are the same bytes twice only over the same transport. */
  String transport();

  /**
   * Whether buffers may be memory of this rank's GPU ({@code Torch.deviceMemory}), with operations
   * that begin after what libtorch was told to do before.
   */
  default boolean takesDeviceMemory() {
    return false;
  }

  /** Replaces every element by its sum over all ranks. */
  Work allReduce(ByteBuffer buffer, ElementType type);

  /**
   * Sums over all ranks, each rank getting its own shard. The buffer holds the shards of all ranks
   * one after the other, shard r of {@code counts[r]} elements. Afterwards shard {@code rank()}
   * holds the sums and the other shards hold nothing of use.
   */
  Work reduceScatter(ByteBuffer buffer, ElementType type, int... counts);

  /**
   * Gathers the shards of all ranks, each rank having filled its own. The layout is that of {@link
   * #reduceScatter}.
   */
  Work allGather(ByteBuffer buffer, ElementType type, int... counts);

  /** Replaces the buffer's bytes by those of rank {@code root}. */
  Work broadcast(ByteBuffer buffer, int root);

  /** Done when every rank has come to this operation. */
  Work barrier();

  /**
   * Returns while the ranks can work together. To be called before anything is published: a rank
   * that was stopped and continued must not write what its heirs may have written by then.
   *
   * @throws CollectiveException when they cannot, or when this rank gave no sign of life for so
   *     long that the others may have gone on without it
   */
  void check();

  /**
   * Ends the work of all ranks: what is pending or called later fails on every rank, with this
   * cause in the message. Returns when no operation of this rank touches its buffer any more.
   */
  void abort(Throwable cause);

  /** Releases connections and threads. Every rank calls it after its last operation. */
  @Override
  void close();

  /** The sums of a few numbers over all ranks, awaited. */
  default double[] sum(double... values) {
    ByteBuffer buffer =
        ByteBuffer.allocateDirect(values.length * Double.BYTES).order(ByteOrder.nativeOrder());
    buffer.asDoubleBuffer().put(values);
    allReduce(buffer, ElementType.FLOAT64).await();
    double[] sums = new double[values.length];
    buffer.asDoubleBuffer().get(sums);
    return sums;
  }
}
