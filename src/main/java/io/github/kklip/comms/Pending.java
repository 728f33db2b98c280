package io.github.kklip.comms;

import java.time.Duration;

/**
 * An operation that was handed to a {@link Collective}. Its buffer is the collective's until it is
 * done.
 */
public interface Pending {
  /**
   * Waits for the end of the operation.
   *
   * @param timeout the longest wait
   * @throws CollectiveException when the operation failed, here or on another rank, or when the
   *     time is over
   */
  void await(Duration timeout);

  /**
   * Waits for the end of the operation, which the collective itself bounds: an operation in which
   * no byte moves for the step timeout fails.
   *
   * @throws CollectiveException when the operation failed, here or on another rank
   */
  void await();

  /** Whether the operation has ended, well or not. */
  boolean isDone();
}
