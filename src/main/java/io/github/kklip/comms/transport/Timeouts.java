package io.github.kklip.comms.transport;

import java.io.Serializable;
import java.time.Duration;

/**
 * The longest waits of a ring.
 *
 * @param rendezvous until all ranks are connected
 * @param heartbeat without a sign of life before a neighbour counts as lost
 * @param step without a byte moving before an operation fails
 */
public record Timeouts(Duration rendezvous, Duration heartbeat, Duration step)
    implements Serializable {
  /** Heartbeats are far enough apart to cost nothing, and several fit into the limit. */
  public Duration heartbeatInterval() {
    return heartbeat.dividedBy(5);
  }
}
