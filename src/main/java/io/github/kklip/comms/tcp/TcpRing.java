package io.github.kklip.comms.tcp;

import io.github.kklip.comms.transport.Accumulator;
import io.github.kklip.comms.transport.Closing;
import io.github.kklip.comms.transport.Liveness;
import io.github.kklip.comms.transport.Operation;
import io.github.kklip.comms.transport.Transfer;
import io.github.kklip.comms.transport.Transport;
import io.github.kklip.config.ElementType;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.time.Duration;
import java.util.List;
import java.util.function.Function;

/**
 * Ranks in a ring over TCP: each has a connection to the next one. One thread sends, receives and
 * adds at the same time; what comes to be added is read up to {@value #READ_BYTES} bytes at a time.
 * See {@link Transfer} for the algorithm.
 *
 * <p>An operation begins with a header of {@value #HEADER_BYTES} bytes: its number and fingerprint.
 */
public final class TcpRing implements Transport {
  private static final int READ_BYTES = 256 * 1024;
  private static final int HEADER_BYTES = Long.BYTES + Integer.BYTES;

  private final int[] members;
  private final int position;
  private final Wire next;
  private final Wire previous;
  private final Liveness liveness;
  private final Selector selector = Selector.open();
  private final SelectionKey writable;
  private final SelectionKey readable;
  private final ByteBuffer header = ByteBuffer.allocateDirect(HEADER_BYTES);
  private final ByteBuffer theirHeader = ByteBuffer.allocateDirect(HEADER_BYTES);
  private final ByteBuffer arrived = ByteBuffer.allocateDirect(READ_BYTES);
  private final Accumulator accumulator = new Accumulator();

  /**
   * @param members the ranks of the ring, in its order
   * @param position where this rank stands among them
   */
  public TcpRing(int[] members, int position, Wire next, Wire previous, Liveness liveness)
      throws IOException {
    this.members = members.clone();
    this.position = position;
    this.next = next;
    this.previous = previous;
    this.liveness = liveness;
    this.writable = next.register(selector, 0);
    this.readable = previous.register(selector, 0);
  }

  @Override
  public String name() {
    return "tcp";
  }

  @Override
  public void wake() {
    selector.wakeup();
  }

  /** Both streams at once, until all is sent and all has come. */
  @Override
  @SuppressWarnings("ThreadPriorityCheck") // Yielding only saves a sleep; nothing relies on it.
  public void run(long number, Operation operation) throws IOException {
    Transfer transfer = Transfer.of(operation, position);
    header.clear().putLong(number).putInt(operation.fingerprint()).flip();
    theirHeader.clear();
    arrived.clear();
    Stream<Transfer.Outgoing> outgoing =
        new Stream<>(transfer.outgoing(), Transfer.Outgoing::chunk);
    Stream<Transfer.Incoming> incoming =
        new Stream<>(transfer.incoming(), Transfer.Incoming::chunk);
    long moved = System.nanoTime();
    boolean flushed = true;
    int tries = 0;
    while (header.hasRemaining()
        || theirHeader.hasRemaining()
        || outgoing.hasRemaining()
        || incoming.hasRemaining()
        || !flushed) {
      liveness.check();
      int sendable = outgoing.hasRemaining() ? outgoing.current().sendable() : 0;
      boolean receives = theirHeader.hasRemaining() || incoming.hasRemaining();
      int sent = 0;
      try {
        if (header.hasRemaining()) {
          sent = next.write(header);
        } else if (sendable > 0) {
          sent = send(outgoing.current().chunk(), sendable);
        }
        flushed = next.flush();
      } catch (IOException e) {
        throw liveness.lost(operation, members[neighbour(1)], e);
      }
      int received = 0;
      if (theirHeader.hasRemaining()) {
        received = previous.read(theirHeader);
        if (!theirHeader.hasRemaining()) {
          compareHeaders(number, operation);
        }
      } else if (incoming.hasRemaining()) {
        ByteBuffer target = incoming.current().chunk();
        received =
            incoming.current().summed()
                ? receiveSum(target, operation.type())
                : previous.read(target);
      }
      if (received < 0) {
        throw liveness.lost(operation, members[neighbour(-1)], null);
      }
      if (sent > 0 || received > 0) {
        moved = System.nanoTime();
        tries = 0;
      } else if (tries < TRIES) {
        tries++;
        Thread.yield();
      } else if (receives || outgoing.hasRemaining() || !flushed) {
        boolean sends = !flushed || header.hasRemaining() || sendable > 0;
        select(operation, moved, sends, receives);
      }
    }
  }

  private int neighbour(int offset) {
    return Math.floorMod(position + offset, members.length);
  }

  private int send(ByteBuffer chunk, int most) throws IOException {
    int limit = chunk.limit();
    chunk.limit(chunk.position() + most);
    try {
      return next.write(chunk);
    } finally {
      chunk.limit(limit);
    }
  }

  /** Reads what has come and adds its whole elements to the target, whose position moves on. */
  private int receiveSum(ByteBuffer target, ElementType type) throws IOException {
    // No more than the target takes: what follows belongs elsewhere.
    arrived.limit(Math.min(READ_BYTES, target.remaining()));
    int received = previous.read(arrived);
    int whole = arrived.position() / type.bytes() * type.bytes();
    if (whole > 0) {
      accumulator.add(target.slice(target.position(), whole), arrived.slice(0, whole), type);
      target.position(target.position() + whole);
      arrived.limit(arrived.position()).position(whole);
      arrived.compact();
    }
    return received;
  }

  private void select(Operation operation, long moved, boolean sends, boolean receives)
      throws IOException {
    writable.interestOps(sends ? SelectionKey.OP_WRITE : 0);
    readable.interestOps(receives ? SelectionKey.OP_READ : 0);
    long wait = liveness.patience().minusNanos(System.nanoTime() - moved).toMillis();
    if (wait <= 0) {
      int peer = members[neighbour(receives ? -1 : 1)];
      throw liveness.stuck(operation, peer, receives && liveness.isBehind(peer));
    }
    selector.select(Math.max(1, Math.min(wait, Duration.ofMinutes(1).toMillis())));
    selector.selectedKeys().clear();
    if (Thread.currentThread().isInterrupted()) {
      // Only while the ranks connect; no select would wait any more.
      throw new InterruptedIOException(
          "Cannot go on because the wait for the other ranks was interrupted.");
    }
  }

  private void compareHeaders(long number, Operation operation) {
    theirHeader.flip();
    if (theirHeader.getLong() != number || theirHeader.getInt() != operation.fingerprint()) {
      throw liveness.differs(operation, members[neighbour(-1)]);
    }
    theirHeader.position(theirHeader.limit());
  }

  @Override
  public void close() {
    Closing.quietly(selector);
    Closing.quietly(next);
    Closing.quietly(previous);
  }

  /** Chunks, one after the other; their positions move on as bytes do. */
  private static final class Stream<T> {
    private final List<T> items;
    private final Function<T, ByteBuffer> chunk;
    private int index;

    Stream(List<T> items, Function<T, ByteBuffer> chunk) {
      this.items = items;
      this.chunk = chunk;
    }

    boolean hasRemaining() {
      while (index < items.size() && !chunk.apply(current()).hasRemaining()) {
        index++;
      }
      return index < items.size();
    }

    /** To be asked for after {@link #hasRemaining()}. */
    T current() {
      return items.get(index);
    }
  }
}
