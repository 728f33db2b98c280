package io.github.kklip.comms;

import io.github.kklip.comms.transport.CollectiveException;

/**
 * An operation that was handed to a {@link Collective}. Its buffer is the collective's until it is
 * done.
 */
public interface Work {
  /**
   * Waits for the end of the operation, which the collective itself bounds: an operation in which
   * no byte moves for the step timeout fails. A thread that is interrupted aborts the collective,
   * so that also then the operation has ended, and its buffer may be freed.
   *
   * @throws CollectiveException when the operation failed, here or on another rank; those that were
   *     handed in after it fail without touching their buffers
   */
  void await();

  /** Whether the operation has ended, well or not. */
  boolean isDone();
}
