package io.github.kklip.comms.transport;

import java.io.IOException;
import java.time.Duration;

/** What a transport asks and tells while it waits for other ranks. */
public interface Liveness {
  /**
   * Returns while all is well.
   *
   * @throws CollectiveException the failure, here or elsewhere, that ends all operations
   */
  void check();

  /** The longest time without a byte moving. */
  Duration patience();

  /** Nothing moved for that long; {@code peer} is the rank that this one waits for. */
  CollectiveException stuck(Operation operation, int peer, boolean hasNotCome);

  /** The connection to {@code peer} ended. */
  CollectiveException lost(Operation operation, int peer, IOException cause);

  /** {@code peer} does another operation than this rank. */
  CollectiveException differs(Operation operation, int peer);

  /** Whether {@code peer} is known not to have come to the operation that runs. */
  boolean isBehind(int peer);

  /** Whether {@code peer} is known to have closed its collective. */
  boolean hasLeft(int peer);
}
