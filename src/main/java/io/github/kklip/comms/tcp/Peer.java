package io.github.kklip.comms.tcp;

import java.io.Serializable;

/**
 * Where a rank listens.
 *
 * @param host name or address that the other ranks can reach
 * @param port its port there
 */
public record Peer(String host, int port) implements Serializable {
  public String named(int rank) {
    return "rank " + rank + " (" + host + ":" + port + ")";
  }
}
