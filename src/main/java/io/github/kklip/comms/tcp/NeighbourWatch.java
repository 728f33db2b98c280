package io.github.kklip.comms.tcp;

import static io.github.kklip.config.Message.message;

import io.github.kklip.comms.transport.Closing;
import io.github.kklip.comms.transport.CollectiveException;
import io.github.kklip.comms.transport.Timeouts;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps in touch with the two neighbours in the ring over connections and a thread of its own, so
 * that a rank that computes for minutes still shows that it lives, and the failure of one rank
 * comes to all: each tells its neighbours, and they pass it on.
 *
 * <p>A message is a kind (1 byte), a length (2 bytes) and that many bytes, bounded by {@value
 * #LONGEST}.
 */
public final class NeighbourWatch implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(NeighbourWatch.class);
  private static final int LONGEST = 2048;
  private static final Duration FAREWELL = Duration.ofSeconds(5);

  /** Heartbeats that may queue up towards a neighbour that does not read; more say nothing new. */
  private static final int QUEUE = 8;

  private enum SignalKind {
    /** I live, and have come to this operation. */
    HEARTBEAT(1),
    /** This rank has failed, for this reason. */
    FAILURE(2),
    /** I have done all my operations and will close. */
    FAREWELL(3),
    /** I know that you will close, or have failed. */
    GOODBYE(4);

    private final byte code;

    SignalKind(int code) {
      this.code = (byte) code;
    }

    private static SignalKind of(byte code) throws IOException {
      for (SignalKind kind : values()) {
        if (kind.code == code) {
          return kind;
        }
      }
      throw new IOException(message("a message of kind %s came", code));
    }
  }

  /** What failed first. */
  public record Cause(int rank, String text) {}

  private final int rank;
  private final List<Peer> peers;
  private final Timeouts timeouts;
  private final LongSupplier operation;
  private final BiConsumer<CollectiveException, Cause> onFailure;
  private final Selector selector;
  private final Link previous;
  private final Link next;
  private Thread thread;
  private volatile Cause cause;
  private volatile boolean leaving;
  private volatile long lastExchange = System.nanoTime();

  public NeighbourWatch(
      int rank,
      List<Peer> peers,
      Wire previous,
      Wire next,
      Timeouts timeouts,
      LongSupplier operation,
      BiConsumer<CollectiveException, Cause> onFailure)
      throws IOException {
    this.rank = rank;
    this.peers = peers;
    this.timeouts = timeouts;
    this.operation = operation;
    this.onFailure = onFailure;
    this.selector = Selector.open();
    this.previous = new Link(previous, Math.floorMod(rank - 1, peers.size()));
    this.next = new Link(next, Math.floorMod(rank + 1, peers.size()));
  }

  /** Begins to watch; not in the constructor, since a failure may be reported at once. */
  public void start() {
    thread = Closing.daemon("kklip-watch-" + rank, this::watch);
  }

  /** Tells the neighbours, which tell theirs. Only the first cause counts. */
  public void spread(Cause first) {
    cause = first;
    selector.wakeup();
  }

  /** Since when this rank has neither heard its neighbours nor been heard. */
  public Duration silence() {
    return Duration.ofNanos(System.nanoTime() - lastExchange);
  }

  /** The last operation that a rank is known to have begun; unknown of all but the neighbours. */
  public long operationOf(int peer) {
    return peer == previous.peer
        ? previous.operation
        : peer == next.peer ? next.operation : Long.MAX_VALUE;
  }

  /** Whether this rank is a neighbour that has said farewell. */
  public boolean hasLeft(int peer) {
    return (peer == previous.peer && previous.left) || (peer == next.peer && next.left);
  }

  /** Takes leave of both neighbours and ends. */
  @Override
  public void close() {
    leaving = true;
    selector.wakeup();
    if (thread != null) {
      Closing.join(thread, FAREWELL.multipliedBy(2));
    }
  }

  private void watch() {
    try (selector) {
      long farewellEnd = 0;
      boolean told = false;
      long nextHeartbeat = System.nanoTime();
      while (true) {
        long now = System.nanoTime();
        // Read once, in this order: who leaves has set the cause before, and must have told it.
        boolean goes = leaving;
        Cause first = cause;
        if (first != null && !told) {
          told = true;
          previous.send(SignalKind.FAILURE, encode(first));
          next.send(SignalKind.FAILURE, encode(first));
        }
        if (goes && farewellEnd == 0) {
          farewellEnd = now + FAREWELL.toNanos();
          if (!told) {
            previous.send(SignalKind.FAREWELL, new byte[0]);
            next.send(SignalKind.FAREWELL, new byte[0]);
          }
        }
        if (now - nextHeartbeat >= 0) {
          nextHeartbeat = now + timeouts.heartbeatInterval().toNanos();
          byte[] position = ByteBuffer.allocate(Long.BYTES).putLong(operation.getAsLong()).array();
          previous.beat(position);
          next.beat(position);
        }
        previous.exchange(now);
        next.exchange(now);
        // After what came while it was stopped, if it was: a failure is known by now.
        lastExchange = System.nanoTime();
        if (goes && (now - farewellEnd > 0 || (previous.mayClose() && next.mayClose()))) {
          return;
        }
        long wait = TimeUnit.NANOSECONDS.toMillis(nextHeartbeat - System.nanoTime());
        selector.select(Math.max(1, goes ? Math.min(wait, 100) : wait));
        selector.selectedKeys().clear();
      }
    } catch (IOException | RuntimeException e) {
      String text = "Cannot watch the neighbours of rank " + rank + " because of " + e + ".";
      onFailure.accept(CollectiveException.primary(text, e), new Cause(rank, text));
    } finally {
      Closing.quietly(previous.channel);
      Closing.quietly(next.channel);
    }
  }

  private static byte[] encode(Cause cause) {
    byte[] text = cause.text().getBytes(StandardCharsets.UTF_8);
    int length = Math.min(text.length, LONGEST - Integer.BYTES);
    return ByteBuffer.allocate(Integer.BYTES + length)
        .putInt(cause.rank())
        .put(text, 0, length)
        .array();
  }

  private String named(int peer) {
    return peers.get(peer).named(peer);
  }

  /**
   * The connection to one neighbour. Only the watching thread uses it, the volatile fields apart.
   */
  private final class Link {
    private final Wire channel;
    private final int peer;
    private final SelectionKey key;
    private final ByteBuffer in = ByteBuffer.allocate(3 + LONGEST);
    private final Deque<ByteBuffer> out = new ArrayDeque<>();
    private long heard;
    private boolean answered;
    private boolean flushed = true;
    private boolean closed;
    private volatile boolean left;
    private volatile long operation;

    Link(Wire channel, int peer) throws IOException {
      this.channel = channel;
      this.peer = peer;
      this.key = channel.register(selector, SelectionKey.OP_READ);
      // The neighbour begins to send when its own ring is closed, which may take as long as this.
      this.heard = System.nanoTime() + timeouts.rendezvous().toNanos();
    }

    void send(SignalKind kind, byte[] payload) {
      if (!closed) {
        out.add(
            ByteBuffer.allocate(3 + payload.length)
                .put(kind.code)
                .putShort((short) payload.length)
                .put(payload)
                .flip());
      }
    }

    void beat(byte[] position) {
      if (out.size() < QUEUE) {
        send(SignalKind.HEARTBEAT, position);
      }
    }

    /** Reads and writes what goes without waiting. */
    void exchange(long now) {
      if (closed) {
        return;
      }
      try {
        int n;
        while ((n = channel.read(in)) > 0) {
          heard = Math.max(heard, now);
          in.flip();
          while (take()) {}
          in.compact();
        }
        while (!out.isEmpty() && channel.write(out.peek()) > 0) {
          if (!out.peek().hasRemaining()) {
            out.remove();
          }
        }
        flushed = channel.flush() && out.isEmpty();
        key.interestOps(SelectionKey.OP_READ | (flushed ? 0 : SelectionKey.OP_WRITE));
        if (n < 0) {
          lost("its connection was closed without a farewell: the process has ended");
        } else if (!left && now - heard > timeouts.heartbeat().toNanos()) {
          lost(
              message(
                  "there was no sign of life for %s s: it is stopped, or the network between is cut",
                  timeouts.heartbeat().toSeconds()));
        }
      } catch (IOException e) {
        lost("its connection broke (" + e.getMessage() + ")");
      }
    }

    /** Takes one whole message from {@link #in}; false when there is none. */
    private boolean take() throws IOException {
      if (in.remaining() < 3) {
        return false;
      }
      SignalKind kind = SignalKind.of(in.get(in.position()));
      int length = Short.toUnsignedInt(in.getShort(in.position() + 1));
      if (length > LONGEST) {
        throw new IOException(message("a message of %s bytes came", length));
      }
      if (in.remaining() < 3 + length) {
        return false;
      }
      ByteBuffer payload = in.slice(in.position() + 3, length);
      in.position(in.position() + 3 + length);
      switch (kind) {
        case HEARTBEAT -> {
          heard = System.nanoTime();
          operation = require(payload, Long.BYTES).getLong();
        }
        case FAILURE -> {
          Cause first =
              new Cause(
                  require(payload, Integer.BYTES).getInt(),
                  StandardCharsets.UTF_8.decode(payload).toString());
          // Who tells it waits for this: a connection that is closed before takes it along.
          send(SignalKind.GOODBYE, new byte[0]);
          if (first.rank() < 0 || first.rank() >= peers.size()) {
            throw new IOException(message("a failure of rank %s came", first.rank()));
          }
          onFailure.accept(
              CollectiveException.secondary(
                  message(
                      "Cannot go on at rank %s because %s failed first: %s%s This failure here is secondary; the cause is in the log of rank %s.",
                      rank,
                      named(first.rank()),
                      first.text(),
                      first.text().endsWith(".") ? "" : ".",
                      first.rank()),
                  null),
              first);
        }
        case FAREWELL -> {
          left = true;
          send(SignalKind.GOODBYE, new byte[0]);
        }
        case GOODBYE -> answered = true;
      }
      return true;
    }

    private ByteBuffer require(ByteBuffer payload, int bytes) throws IOException {
      if (payload.remaining() < bytes) {
        throw new IOException(message("a message of %s bytes came", payload.remaining()));
      }
      return payload;
    }

    private void lost(String reason) {
      closed = true;
      key.cancel();
      Closing.quietly(channel);
      if (!left && cause == null) {
        String text = "Lost " + named(peer) + " because " + reason + ".";
        LOG.debug("{}", text);
        onFailure.accept(
            CollectiveException.primary(
                text + " Look at the log of that executor for what ended it.", null),
            new Cause(rank, text));
      }
    }

    boolean mayClose() {
      return closed || (flushed && out.isEmpty() && answered);
    }
  }
}
