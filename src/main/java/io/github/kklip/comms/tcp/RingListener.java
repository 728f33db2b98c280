package io.github.kklip.comms.tcp;

import static io.github.kklip.config.Message.message;

import io.github.kklip.comms.transport.Closing;
import java.io.IOException;
import java.net.BindException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedDeque;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The port on which a rank waits for its neighbour. It is open from before the ranks exchange
 * addresses until the ring is closed into a circle, and not longer.
 */
public final class RingListener implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(RingListener.class);

  /** Ports that are tried upwards from the first one set. */
  public static final int PORTS = 256;

  /**
   * Callers that may be waiting to be known; for one more, the one that waits longest is dropped.
   */
  private static final int CALLERS = 32;

  private static final Duration PATIENCE = Duration.ofSeconds(10);

  private final ServerSocketChannel server;
  private final Deque<SocketChannel> callers = new ConcurrentLinkedDeque<>();

  private RingListener(ServerSocketChannel server) {
    this.server = server;
  }

  /**
   * Opens a port.
   *
   * @param bind the address to listen on
   * @param firstPort the first of {@value #PORTS} ports to try, or 0 for any free one
   */
  public static RingListener open(InetAddress bind, int firstPort) throws IOException {
    ServerSocketChannel server = ServerSocketChannel.open();
    int last = firstPort == 0 ? 0 : Math.min(firstPort + PORTS - 1, 65_535);
    for (int port = firstPort; port <= last; port++) {
      try {
        server.bind(new InetSocketAddress(bind, port), CALLERS);
        return new RingListener(server);
      } catch (BindException e) {
        if (port == last) {
          server.close();
          throw new IOException(
              message(
                  "Cannot listen on %s because no port from %s to %s can be used: %s. Set train.port to the first port of a free range.",
                  bind.getHostAddress(), firstPort, last, e.getMessage()),
              e);
        }
      }
    }
    throw new IllegalArgumentException(message("Cannot listen on port %s.", firstPort));
  }

  /** The port that the other ranks have to know. */
  public int port() {
    return server.socket().getLocalPort();
  }

  /** Takes calls on a thread of its own until it is closed. */
  public Calls accept(Handshake handshake, int self, boolean encrypted) {
    Calls calls = new Calls();
    Closing.daemon(
        "kklip-accept-" + self,
        () -> {
          DroppedConnections dropped = new DroppedConnections(self, System::nanoTime);
          while (server.isOpen()) {
            take(handshake, self, encrypted, calls, dropped);
          }
          tellIfLast(dropped);
        });
    return calls;
  }

  private void take(
      Handshake handshake, int self, boolean encrypted, Calls calls, DroppedConnections dropped) {
    try {
      SocketChannel channel = server.accept();
      callers.add(channel);
      SocketChannel oldest = callers.size() > CALLERS ? callers.poll() : null;
      if (oldest != null) {
        drop(oldest, "more than " + CALLERS + " wait that have not proved the secret", dropped);
      }
      // One thread for each caller: a silent stranger does not keep the neighbour waiting.
      Closing.daemon(
          "kklip-handshake-" + self,
          () -> {
            try {
              Handshake.Session session = handshake.answer(channel.socket(), self, PATIENCE);
              Wire wire =
                  encrypted
                      ? Wire.sealed(channel, session.toCaller(), session.toCallee())
                      : Wire.plain(channel);
              if (!calls.from(session.caller()).complete(wire)) {
                drop(
                    channel,
                    "nobody waits for rank " + session.caller().rank() + " any more",
                    dropped);
              }
            } catch (IOException e) {
              if (channel.isOpen()) {
                drop(channel, e.getMessage(), dropped);
              }
            } finally {
              callers.remove(channel);
              tellIfLast(dropped);
            }
          });
    } catch (ClosedChannelException e) {
      LOG.debug("Listener of rank {} is closed.", self);
    } catch (IOException e) {
      LOG.warn("Cannot accept a connection at rank {}: {}", self, e.toString());
    }
  }

  /** Authenticated connections by who called for what, as they come and as they are asked for. */
  public static final class Calls {
    private final Map<Handshake.Caller, CompletableFuture<Wire>> calls = new HashMap<>();
    private boolean abandoned;

    synchronized CompletableFuture<Wire> from(Handshake.Caller caller) {
      return calls.computeIfAbsent(
          caller,
          c ->
              abandoned
                  ? CompletableFuture.failedFuture(new IOException("nobody waits for it"))
                  : new CompletableFuture<>());
    }

    /** Closes the connections that have come and refuses those that still come. */
    public synchronized void abandon() {
      abandoned = true;
      for (CompletableFuture<Wire> call : calls.values()) {
        if (!call.completeExceptionally(new IOException("nobody waits for it"))) {
          Closing.quietly(call.getNow(null));
        }
      }
    }
  }

  private static void drop(SocketChannel channel, String reason, DroppedConnections dropped) {
    dropped.add(channel.socket().getRemoteSocketAddress(), reason);
    Closing.quietly(channel);
  }

  /** After the port is closed and the last caller gone, nothing will be told any more. */
  private void tellIfLast(DroppedConnections dropped) {
    if (!server.isOpen() && callers.isEmpty()) {
      dropped.tell();
    }
  }

  @Override
  public void close() {
    Closing.quietly(server);
  }
}
