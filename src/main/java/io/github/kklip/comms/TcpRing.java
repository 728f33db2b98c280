package io.github.kklip.comms;

import java.io.Closeable;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Ranks in a ring over TCP: each has a connection to the next one for data and one for signs of
 * life ({@link NeighbourWatch}). One thread sends, receives and adds at the same time, in pieces of
 * {@value #PIECE} bytes, so that a piece is on its way to the next rank while the following one
 * comes in. See {@link Transfer} for the algorithm.
 */
public final class TcpRing implements Collective {
  /** Length of the job's secret. */
  public static final int SECRET_BYTES = 32;

  private static final Logger LOG = LoggerFactory.getLogger(TcpRing.class);
  private static final int PIECE = 256 * 1024;
  private static final int HEADER_BYTES = Long.BYTES + Integer.BYTES;

  /** How long a closed data connection waits for the watch to say why. */
  private static final Duration EXPLANATION = Duration.ofSeconds(2);

  private final int rank;
  private final List<Peer> peers;
  private final Limits limits;
  private final SocketChannel toNext;
  private final SocketChannel fromPrevious;
  private final Selector selector = Selector.open();
  private final SelectionKey writable;
  private final SelectionKey readable;
  private final ByteBuffer header = ByteBuffer.allocateDirect(HEADER_BYTES);
  private final ByteBuffer theirHeader = ByteBuffer.allocateDirect(HEADER_BYTES);
  private final ByteBuffer piece = ByteBuffer.allocateDirect(PIECE);
  private final Accumulator accumulator = new Accumulator();
  private final BlockingQueue<Operation> queue = new LinkedBlockingQueue<>();
  private final CompletableFuture<CollectiveException> failure = new CompletableFuture<>();
  private final NeighbourWatch watch;
  private Thread worker;

  /** Operations handed in so far; guarded by {@link #queue}. */
  private long submitted;

  /** The operation that the worker is at. */
  private volatile long begun;

  private volatile boolean closed;

  private TcpRing(
      int rank,
      List<Peer> peers,
      Limits limits,
      SocketChannel toNext,
      SocketChannel fromPrevious,
      SocketChannel controlNext,
      SocketChannel controlPrevious)
      throws IOException {
    this.rank = rank;
    this.peers = List.copyOf(peers);
    this.limits = limits;
    this.toNext = toNext;
    this.fromPrevious = fromPrevious;
    for (SocketChannel channel : List.of(toNext, fromPrevious, controlNext, controlPrevious)) {
      channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
      channel.configureBlocking(false);
    }
    this.writable = toNext.register(selector, 0);
    this.readable = fromPrevious.register(selector, 0);
    this.watch =
        new NeighbourWatch(
            rank, this.peers, controlPrevious, controlNext, limits, () -> begun, this::fail);
  }

  private TcpRing start() {
    watch.start();
    worker = daemon("kklip-ring-" + rank, this::work);
    return this;
  }

  /**
   * Meets the other ranks.
   *
   * @param listener this rank's open port; it is closed when the ring stands, or on failure
   * @param rank this rank
   * @param peers where every rank listens, in order of rank
   * @param secret {@value #SECRET_BYTES} random bytes that only the ranks of this attempt know
   * @throws CollectiveException when a neighbour cannot be reached in time
   */
  public static Collective connect(
      RingListener listener, int rank, List<Peer> peers, byte[] secret, Limits limits) {
    if (peers.size() == 1) {
      listener.close();
      return new SoloCollective();
    }
    int previous = Math.floorMod(rank - 1, peers.size());
    int next = Math.floorMod(rank + 1, peers.size());
    long deadline = System.nanoTime() + limits.rendezvous().toNanos();
    Handshake handshake = new Handshake(secret, peers.size());
    SocketChannel data = null;
    SocketChannel control = null;
    Map<Handshake.Purpose, CompletableFuture<SocketChannel>> calls =
        listener.accept(handshake, rank, previous);
    try (listener) {
      data = call(handshake, rank, next, peers, Handshake.Purpose.DATA, deadline);
      control = call(handshake, rank, next, peers, Handshake.Purpose.CONTROL, deadline);
      SocketChannel theirData = await(calls.get(Handshake.Purpose.DATA), previous, peers, deadline);
      SocketChannel theirControl =
          await(calls.get(Handshake.Purpose.CONTROL), previous, peers, deadline);
      return new TcpRing(rank, peers, limits, data, theirData, control, theirControl).start();
    } catch (IOException e) {
      closeQuietly(data);
      closeQuietly(control);
      calls.values().stream()
          .filter(c -> !c.completeExceptionally(e))
          .forEach(c -> closeQuietly(c.join()));
      throw CollectiveException.primary(e.getMessage(), e);
    }
  }

  private static SocketChannel call(
      Handshake handshake,
      int rank,
      int next,
      List<Peer> peers,
      Handshake.Purpose purpose,
      long deadline)
      throws IOException {
    Peer peer = peers.get(next);
    SocketChannel channel = SocketChannel.open();
    try {
      channel
          .socket()
          .connect(
              new InetSocketAddress(peer.host(), peer.port()),
              (int) Math.min(Integer.MAX_VALUE, Math.max(1, left(deadline).toMillis())));
      handshake.call(channel.socket(), new Handshake.Caller(rank, purpose), next, left(deadline));
      return channel;
    } catch (IOException e) {
      closeQuietly(channel);
      throw new IOException(
          "Cannot connect rank "
              + rank
              + " to "
              + peer.named(next)
              + " because "
              + e.getMessage()
              + ". The ranks must be able to reach each other on these ports; see train.port.",
          e);
    }
  }

  private static SocketChannel await(
      CompletableFuture<SocketChannel> call, int previous, List<Peer> peers, long deadline)
      throws IOException {
    try {
      return call.get(left(deadline).toNanos(), TimeUnit.NANOSECONDS);
    } catch (TimeoutException | ExecutionException e) {
      throw new IOException(
          "Cannot go on because "
              + peers.get(previous).named(previous)
              + " did not connect within train.rendezvous-timeout.",
          e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException(
          "Cannot go on because the wait for the other ranks was interrupted.", e);
    }
  }

  private static Duration left(long deadline) {
    return Duration.ofNanos(Math.max(0, deadline - System.nanoTime()));
  }

  @Override
  public int rank() {
    return rank;
  }

  @Override
  public int size() {
    return peers.size();
  }

  @Override
  public Pending allReduce(ByteBuffer buffer, ElementType type) {
    return submit(Transfer.allReduce(buffer, type, rank, size()));
  }

  @Override
  public Pending reduceScatter(ByteBuffer buffer, ElementType type, int... counts) {
    return submit(Transfer.reduceScatter(buffer, type, rank, size(), counts));
  }

  @Override
  public Pending allGather(ByteBuffer buffer, ElementType type, int... counts) {
    return submit(Transfer.allGather(buffer, type, rank, size(), counts));
  }

  @Override
  public Pending broadcast(ByteBuffer buffer, int root) {
    return submit(Transfer.broadcast(buffer, root, rank, size()));
  }

  @Override
  public Pending barrier() {
    // To have a byte of every rank, every rank must have come.
    return submit(
        Transfer.allGather(
            ByteBuffer.allocateDirect(size()),
            ElementType.INT8,
            rank,
            size(),
            Collective.evenCounts(size(), size())));
  }

  private Pending submit(Transfer transfer) {
    synchronized (queue) {
      if (closed) {
        throw new IllegalStateException(
            "Cannot start " + transfer.description() + " because the collective is closed.");
      }
      Operation operation = new Operation(++submitted, transfer, new CompletableFuture<>());
      queue.add(operation);
      return operation;
    }
  }

  @Override
  public void abort(Throwable cause) {
    String text = cause.toString();
    fail(
        CollectiveException.primary(
            "Cannot go on at rank " + rank + " because it was aborted: " + text, cause),
        new NeighbourWatch.Cause(rank, text));
  }

  /** The first failure is the one that all pending and later operations show. */
  private void fail(CollectiveException exception, NeighbourWatch.Cause cause) {
    if (failure.complete(exception)) {
      LOG.warn("{}", exception.getMessage());
      watch.spread(cause);
      selector.wakeup();
    }
  }

  @Override
  public void close() {
    synchronized (queue) {
      if (closed) {
        return;
      }
      closed = true;
      queue.add(new Operation(0, null, new CompletableFuture<>()));
    }
    join(worker, limits.step().multipliedBy(2));
    watch.close();
    closeQuietly(selector);
    closeQuietly(toNext);
    closeQuietly(fromPrevious);
  }

  private void work() {
    while (true) {
      Operation operation;
      try {
        operation = queue.take();
      } catch (InterruptedException e) {
        // Nobody but this class knows the thread, and it does not interrupt.
        throw new IllegalStateException(e);
      }
      if (operation.transfer() == null) {
        return;
      }
      begun = operation.number();
      try {
        run(operation.transfer());
        operation.end().complete(null);
      } catch (CollectiveException e) {
        operation.end().completeExceptionally(e);
      } catch (IOException | RuntimeException e) {
        operation.end().completeExceptionally(broken(operation.transfer(), e));
      }
    }
  }

  /** One operation: both streams at once, until all is sent and all has come. */
  private void run(Transfer transfer) throws IOException {
    header.clear().putLong(begun).putInt(transfer.fingerprint()).flip();
    theirHeader.clear();
    piece.clear();
    Slices outgoing = new Slices(transfer.outgoing());
    Slices incoming = new Slices(transfer.incoming());
    long sendable = transfer.head();
    long moved = System.nanoTime();
    while (header.hasRemaining()
        || theirHeader.hasRemaining()
        || outgoing.hasRemaining()
        || incoming.hasRemaining()) {
      if (failure.isDone()) {
        throw failure.join();
      }
      long sent = 0;
      if (header.hasRemaining()) {
        sent = toNext.write(header);
      } else if (sendable > 0 && outgoing.hasRemaining()) {
        sent = send(outgoing.current(), (int) Math.min(sendable, PIECE));
        sendable -= sent;
      }
      long received = 0;
      if (theirHeader.hasRemaining()) {
        received = fromPrevious.read(theirHeader);
        if (!theirHeader.hasRemaining()) {
          compareHeaders(transfer);
        }
      } else if (incoming.hasRemaining()) {
        ByteBuffer target = incoming.current();
        int before = target.position();
        received =
            incoming.index() < transfer.summed()
                ? receiveSum(target, transfer.type())
                : fromPrevious.read(target);
        sendable += target.position() - before;
      }
      if (received < 0) {
        throw lost(transfer, false, null);
      }
      if (sent > 0 || received > 0) {
        moved = System.nanoTime();
      } else {
        boolean toSend = header.hasRemaining() || (sendable > 0 && outgoing.hasRemaining());
        boolean toReceive = theirHeader.hasRemaining() || incoming.hasRemaining();
        select(transfer, moved, toSend, toReceive);
      }
    }
  }

  private int send(ByteBuffer slice, int most) throws IOException {
    int limit = slice.limit();
    slice.limit(Math.min(limit, slice.position() + most));
    try {
      return toNext.write(slice);
    } catch (IOException e) {
      throw lost(null, true, e);
    } finally {
      slice.limit(limit);
    }
  }

  /** Reads what has come and adds its whole elements to the target, whose position moves on. */
  private int receiveSum(ByteBuffer target, ElementType type) throws IOException {
    piece.limit(Math.min(PIECE, target.remaining()));
    int received = fromPrevious.read(piece);
    int whole = piece.position() / type.bytes() * type.bytes();
    if (whole > 0) {
      accumulator.add(target.slice(target.position(), whole), piece.slice(0, whole), type);
      target.position(target.position() + whole);
      piece.limit(piece.position()).position(whole);
      piece.compact();
    }
    return received;
  }

  private void select(Transfer transfer, long moved, boolean toSend, boolean toReceive)
      throws IOException {
    writable.interestOps(toSend ? SelectionKey.OP_WRITE : 0);
    readable.interestOps(toReceive ? SelectionKey.OP_READ : 0);
    Duration wait = left(moved + limits.step().toNanos());
    if (wait.isZero()) {
      throw stuck(transfer, toReceive);
    }
    selector.select(Math.max(1, wait.toMillis()));
    selector.selectedKeys().clear();
  }

  private void compareHeaders(Transfer transfer) {
    theirHeader.flip();
    long operation = theirHeader.getLong();
    int fingerprint = theirHeader.getInt();
    if (operation != begun || fingerprint != transfer.fingerprint()) {
      throw failHere(
          "Cannot run "
              + transfer.description()
              + " as operation "
              + begun
              + " of rank "
              + rank
              + " because "
              + named(-1)
              + " does another one as its operation "
              + operation
              + ". All ranks must call the same operations in the same order.",
          null);
    }
  }

  private CollectiveException stuck(Transfer transfer, boolean receiving) {
    boolean previousIsBehind = receiving && watch.previousOperation() < begun;
    if (!previousIsBehind) {
      // Some other rank waits for the one that is behind, and is about to name it.
      CollectiveException known = explanation();
      if (known != null) {
        return known;
      }
    }
    return failHere(
        "Cannot finish "
            + transfer.description()
            + " (operation "
            + begun
            + " of rank "
            + rank
            + ") because no byte moved for train.step-timeout = "
            + limits.step().toSeconds()
            + " s. "
            + (previousIsBehind
                ? "It waits for " + named(-1) + ", which lives but has not come to this operation."
                : "It waits for "
                    + (receiving ? named(-1) : named(1))
                    + " or one that this rank waits for."),
        null);
  }

  private CollectiveException lost(Transfer transfer, boolean isNext, IOException e) {
    CollectiveException known = explanation();
    if (known != null) {
      return known;
    }
    String peer = named(isNext ? 1 : -1);
    String during = transfer == null ? "" : " in " + transfer.description();
    return failHere(
        watch.hasLeft(isNext)
            ? "Cannot finish operation "
                + begun
                + " of rank "
                + rank
                + during
                + " because "
                + peer
                + " has closed its collective. All ranks must call the same operations."
            : "Lost " + peer + during + " because its connection was closed.",
        e);
  }

  private CollectiveException broken(Transfer transfer, Exception e) {
    CollectiveException known = explanation();
    return known != null
        ? known
        : failHere(
            "Cannot finish "
                + transfer.description()
                + " (operation "
                + begun
                + " of rank "
                + rank
                + ") because of "
                + e
                + ".",
            e);
  }

  private CollectiveException failHere(String text, Throwable cause) {
    fail(CollectiveException.primary(text, cause), new NeighbourWatch.Cause(rank, text));
    return failure.join();
  }

  /** What the watch knows: a broken data connection is mostly the shadow of something else. */
  private CollectiveException explanation() {
    try {
      return failure.get(EXPLANATION.toNanos(), TimeUnit.NANOSECONDS);
    } catch (TimeoutException | ExecutionException e) {
      return null;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return null;
    }
  }

  private String named(int offset) {
    int peer = Math.floorMod(rank + offset, size());
    return peers.get(peer).named(peer);
  }

  static Thread daemon(String name, Runnable body) {
    Thread thread = new Thread(body, name);
    thread.setDaemon(true);
    thread.start();
    return thread;
  }

  static void join(Thread thread, Duration limit) {
    try {
      thread.join(limit.toMillis());
      if (thread.isAlive()) {
        LOG.warn("Thread {} did not end within {} s.", thread.getName(), limit.toSeconds());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  static void closeQuietly(Closeable closeable) {
    if (closeable != null) {
      try {
        closeable.close();
      } catch (IOException e) {
        LOG.debug("Cannot close {}: {}", closeable, e.toString());
      }
    }
  }

  /** The slices of one stream, one after the other; their positions move on as bytes do. */
  private static final class Slices {
    private final Iterator<ByteBuffer> rest;
    private ByteBuffer current = ByteBuffer.allocate(0);
    private int index = -1;

    Slices(List<ByteBuffer> slices) {
      rest = slices.iterator();
    }

    boolean hasRemaining() {
      while (!current.hasRemaining() && rest.hasNext()) {
        current = rest.next();
        index++;
      }
      return current.hasRemaining();
    }

    /** To be asked for after {@link #hasRemaining()}. */
    ByteBuffer current() {
      return current;
    }

    int index() {
      return index;
    }
  }

  /**
   * An operation in the queue.
   *
   * @param number counts from 1, the same on every rank
   * @param transfer what to do; null ends the thread
   * @param end completed when it is done
   */
  private record Operation(long number, Transfer transfer, CompletableFuture<Void> end)
      implements Pending {
    @Override
    public void await(Duration timeout) {
      try {
        end.get(timeout.toNanos(), TimeUnit.NANOSECONDS);
      } catch (TimeoutException e) {
        throw CollectiveException.primary(
            "Cannot wait longer than "
                + timeout.toMillis()
                + " ms for "
                + transfer.description()
                + ".",
            e);
      } catch (ExecutionException e) {
        throw again(e.getCause());
      } catch (InterruptedException e) {
        throw interrupted(e);
      }
    }

    @Override
    public void await() {
      try {
        end.get();
      } catch (ExecutionException e) {
        throw again(e.getCause());
      } catch (InterruptedException e) {
        throw interrupted(e);
      }
    }

    @Override
    public boolean isDone() {
      return end.isDone();
    }

    /** The failure with the stack of the thread that waits for it. */
    private static CollectiveException again(Throwable cause) {
      return cause instanceof CollectiveException e && e.isSecondary()
          ? CollectiveException.secondary(e.getMessage(), e)
          : CollectiveException.primary(cause.getMessage(), cause);
    }

    private CollectiveException interrupted(InterruptedException e) {
      Thread.currentThread().interrupt();
      return CollectiveException.primary(
          "Cannot wait for " + transfer.description() + " because the thread was interrupted.", e);
    }
  }
}
