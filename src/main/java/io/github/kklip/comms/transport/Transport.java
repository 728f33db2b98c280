package io.github.kklip.comms.transport;

import java.io.Closeable;
import java.io.IOException;

/** Carries out operations, one at a time, on the thread that calls. */
public interface Transport extends Closeable {
  /**
   * How often a rank that waits gives the processor away before it sleeps: where ranks are more
   * than processors, the one it waits for mostly needs just that.
   */
  int TRIES = 10;

  /** What it is, as the checkpoint notes it: results are the same bytes only with the same. */
  String name();

  /**
   * Does this rank's part of an operation.
   *
   * @param number counts the operations from 1; the same on every rank
   * @throws CollectiveException when another rank failed, or the time is over
   * @throws IOException when a connection fails
   */
  void run(long number, Operation operation) throws IOException;

  /** Whether buffers may be a GPU's memory, of which the host sees no more than the address. */
  default boolean takesDeviceMemory() {
    return false;
  }

  /** Ends a wait within {@link #run} soon, so that it sees that a rank has failed. */
  void wake();
}
