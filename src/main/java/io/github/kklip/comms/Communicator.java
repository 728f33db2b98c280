package io.github.kklip.comms;

import static io.github.kklip.config.Message.message;

import io.github.kklip.comms.memory.Sharing;
import io.github.kklip.comms.nccl.Nccl;
import io.github.kklip.comms.tcp.Handshake;
import io.github.kklip.comms.tcp.NeighbourWatch;
import io.github.kklip.comms.tcp.Peer;
import io.github.kklip.comms.tcp.Rendezvous;
import io.github.kklip.comms.tcp.RingListener;
import io.github.kklip.comms.tcp.TcpRing;
import io.github.kklip.comms.tcp.Wire;
import io.github.kklip.comms.transport.Closing;
import io.github.kklip.comms.transport.CollectiveException;
import io.github.kklip.comms.transport.Liveness;
import io.github.kklip.comms.transport.Operation;
import io.github.kklip.comms.transport.Timeouts;
import io.github.kklip.comms.transport.Transport;
import io.github.kklip.config.ElementType;
import io.github.kklip.config.TrainSettings;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.IntStream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The ranks of a job, connected: each has a connection to the next one for data and one for signs
 * of life ({@link NeighbourWatch}). Over the ring of the first the ranks find out which of them
 * share memory, and choose the transport; a thread of its own carries out the operations.
 */
public final class Communicator implements Collective {
  private static final Logger LOG = LoggerFactory.getLogger(Communicator.class);

  /** How long a closed data connection waits for the watch to say why. */
  private static final Duration EXPLANATION = Duration.ofSeconds(2);

  /**
   * Waits look again after this time. When memory is gone that an operation reads (a mapped file
   * that was truncated), the JVM throws an error anywhere later on the thread, and a wake-up that
   * is under way there may be lost.
   */
  private static final Duration WAKE = Duration.ofSeconds(1);

  private final int rank;
  private final List<Peer> peers;
  private final Timeouts timeouts;
  private final Guard guard = new Guard();
  private final TcpRing ring;
  private final NeighbourWatch watch;
  private final Deque<Queued> queue = new ArrayDeque<>();
  private final CompletableFuture<CollectiveException> failure = new CompletableFuture<>();
  private volatile Transport transport;
  private Thread worker;

  /** The last operation that was handed in, if any; guarded by {@link #queue}. */
  private Queued last;

  /** The operation that the worker is at. */
  private volatile long begun;

  private volatile boolean closed;

  private Communicator(
      int rank,
      List<Peer> peers,
      Timeouts timeouts,
      Wire toNext,
      Wire fromPrevious,
      Wire controlNext,
      Wire controlPrevious)
      throws IOException {
    this.rank = rank;
    this.peers = List.copyOf(peers);
    this.timeouts = timeouts;
    int[] all = IntStream.range(0, peers.size()).toArray();
    this.ring = new TcpRing(all, rank, toNext, fromPrevious, guard);
    this.transport = ring;
    this.watch =
        new NeighbourWatch(
            rank, this.peers, controlPrevious, controlNext, timeouts, () -> begun, this::fail);
  }

  /**
   * Meets the other ranks.
   *
   * @param listener this rank's open port; it is closed when all are connected, or on failure
   * @param rank this rank
   * @param peers where every rank listens, in order of rank
   * @param secret {@value Handshake#SECRET_BYTES} random bytes that only the ranks of this attempt
   *     know
   * @throws CollectiveException when a neighbour cannot be reached in time, or the ranks cannot be
   *     connected as {@code options} wants
   */
  public static Collective connect(
      RingListener listener,
      int rank,
      List<Peer> peers,
      byte[] secret,
      Timeouts timeouts,
      TransportOptions options) {
    if (peers.size() == 1) {
      listener.close();
      return new SoloCollective();
    }
    int previous = Math.floorMod(rank - 1, peers.size());
    int next = Math.floorMod(rank + 1, peers.size());
    Handshake handshake = new Handshake(secret, peers.size());
    RingListener.Calls calls = listener.accept(handshake, rank, options.encrypted());
    Rendezvous rendezvous =
        new Rendezvous(handshake, calls, rank, peers, options.encrypted(), timeouts.rendezvous());
    Wire data = null;
    Wire control = null;
    Communicator communicator = null;
    try (listener) {
      data = rendezvous.call(next, Handshake.Purpose.DATA);
      control = rendezvous.call(next, Handshake.Purpose.CONTROL);
      communicator =
          new Communicator(
              rank,
              peers,
              timeouts,
              data,
              rendezvous.answer(previous, Handshake.Purpose.DATA),
              control,
              rendezvous.answer(previous, Handshake.Purpose.CONTROL));
      communicator.watch.start();
      communicator.choose(rendezvous, options);
      communicator.worker = Closing.daemon("kklip-comms-" + rank, communicator::work);
      return communicator;
    } catch (IOException | RuntimeException | Error e) {
      CollectiveException failed =
          e instanceof CollectiveException known
              ? known
              : CollectiveException.primary(
                  e instanceof IOException
                      ? e.getMessage()
                      : "Cannot connect rank " + rank + " to the others because of " + e + ".",
                  e);
      if (communicator != null) {
        communicator.fail(failed, new NeighbourWatch.Cause(rank, failed.getMessage()));
        communicator.close();
      } else {
        Closing.quietly(data);
        Closing.quietly(control);
      }
      calls.abandon();
      throw failed;
    }
  }

  /** Takes the fastest transport that works; all ranks come to the same. */
  private void choose(Rendezvous rendezvous, TransportOptions options) throws IOException {
    boolean required = options.transport() == TrainSettings.TransportChoice.NCCL;
    if (required && options.encrypted()) {
      throw CollectiveException.primary(
          "Cannot use train.transport = nccl because connections are to be encrypted, which NCCL"
              + " does not do. Set train.encryption = off to let gradients travel in the clear.",
          null);
    }
    if (options.transport() == TrainSettings.TransportChoice.TCP) {
      return;
    }
    transport = host(rendezvous, options);
    if (!required
        && (options.transport() != TrainSettings.TransportChoice.AUTO || options.gpu() < 0)) {
      return;
    }
    if (options.encrypted()) {
      LOG.info(
          "Rank {} does without NCCL because it cannot encrypt; train.encryption = off would allow it.",
          rank);
      return;
    }
    transport =
        Nccl.over(transport, rank, size(), options.gpu(), guard, timeouts.rendezvous(), required);
  }

  /** The fastest transport between the memories of the hosts. */
  private Transport host(Rendezvous rendezvous, TransportOptions options) throws IOException {
    Sharing.SharingResult found =
        new Sharing(ring, rank, size(), guard).find(Path.of(options.sharedFolder()));
    List<int[]> machines = found.machines();
    if (machines.size() == 1) {
      return found.local();
    }
    if (options.transport() == TrainSettings.TransportChoice.SHARED_MEMORY) {
      throw CollectiveException.primary(
          message(
              "Cannot use train.transport = shared-memory because not all ranks share %s: those that do are %s. Use train.transport = auto.",
              options.sharedFolder(), machines.stream().map(Arrays::toString).toList()),
          null);
    }
    if (machines.size() == size()) {
      return ring;
    }
    int mine = 0;
    while (Arrays.binarySearch(machines.get(mine), rank) < 0) {
      mine++;
    }
    int place = Arrays.binarySearch(machines.get(mine), rank);
    TcpRing lane =
        place < Hierarchy.lanes(machines) ? lane(rendezvous, machines, mine, place) : null;
    return new Hierarchy(machines, ring, found.local(), lane, machines.get(mine).length, place);
  }

  private TcpRing lane(Rendezvous rendezvous, List<int[]> machines, int mine, int place)
      throws IOException {
    int[] members = machines.stream().mapToInt(m -> m[place]).toArray();
    int next = members[(mine + 1) % members.length];
    int previous = members[Math.floorMod(mine - 1, members.length)];
    Wire out = rendezvous.call(next, Handshake.Purpose.LANE);
    try {
      Wire in = rendezvous.answer(previous, Handshake.Purpose.LANE);
      return new TcpRing(members, mine, out, in, guard);
    } catch (IOException e) {
      Closing.quietly(out);
      throw e;
    }
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
  public String transport() {
    return transport.name();
  }

  @Override
  public boolean takesDeviceMemory() {
    return transport.takesDeviceMemory();
  }

  @Override
  public Work allReduce(ByteBuffer buffer, ElementType type) {
    return submit(Operation.allReduce(buffer, type, size()));
  }

  @Override
  public Work reduceScatter(ByteBuffer buffer, ElementType type, int... counts) {
    return submit(Operation.reduceScatter(buffer, type, size(), counts));
  }

  @Override
  public Work allGather(ByteBuffer buffer, ElementType type, int... counts) {
    return submit(Operation.allGather(buffer, type, size(), counts));
  }

  @Override
  public Work broadcast(ByteBuffer buffer, int root) {
    return submit(Operation.broadcast(buffer, root, size()));
  }

  @Override
  public Work barrier() {
    return submit(Operation.barrier(size()));
  }

  private Work submit(Operation operation) {
    synchronized (queue) {
      if (closed) {
        throw new IllegalStateException(
            message("Cannot start %s because the collective is closed.", operation.description()));
      }
      long number = last == null ? 1 : last.number + 1;
      last = new Queued(number, operation, new CompletableFuture<>());
      queue.add(last);
      queue.notifyAll();
      return last;
    }
  }

  @Override
  public void check() {
    Duration silence = watch.silence();
    if (!failure.isDone() && silence.compareTo(timeouts.heartbeat()) > 0) {
      throw CollectiveException.primary(
          message(
              "Cannot go on at rank %s because it was stopped for %s s, longer than train.heartbeat-timeout: the others have gone on without it.",
              rank, silence.toSeconds()),
          null);
    }
    guard.check();
  }

  @Override
  public void abort(Throwable cause) {
    String text = cause.toString();
    fail(
        CollectiveException.primary(
            "Cannot go on at rank " + rank + " because it was aborted: " + text, cause),
        new NeighbourWatch.Cause(rank, text));
    Queued queued;
    synchronized (queue) {
      queued = last;
    }
    if (queued != null && !queued.hasEndedWithin(timeouts.step())) {
      LOG.error("{} of rank {} has not ended yet", queued.operation.description(), rank);
    }
  }

  /** The first failure is the one that all pending and later operations show. */
  private void fail(CollectiveException exception, NeighbourWatch.Cause cause) {
    if (failure.complete(exception)) {
      LOG.warn("{}", exception.getMessage());
      watch.spread(cause);
      transport.wake();
    }
  }

  @Override
  public void close() {
    synchronized (queue) {
      if (closed) {
        return;
      }
      closed = true;
      queue.add(new Queued(0, null, new CompletableFuture<>()));
      queue.notifyAll();
    }
    if (worker != null) {
      Closing.join(worker, timeouts.step().multipliedBy(2));
    }
    watch.close();
    Closing.quietly(transport);
    Closing.quietly(ring);
  }

  private void work() {
    boolean open = true;
    while (open) {
      try {
        Queued queued = first();
        open = queued.operation != null;
        if (open) {
          run(queued);
        }
        // Not before it has ended: an error in between must not lose it.
        synchronized (queue) {
          queue.remove();
        }
      } catch (InterruptedException | RuntimeException | Error e) {
        // See WAKE: the error may come between operations or while one is being ended.
        String text = "Cannot go on at rank " + rank + " because of " + e + ".";
        fail(CollectiveException.primary(text, e), new NeighbourWatch.Cause(rank, text));
      }
    }
  }

  private Queued first() throws InterruptedException {
    synchronized (queue) {
      while (queue.isEmpty()) {
        queue.wait(WAKE.toMillis());
      }
      return queue.element();
    }
  }

  private void run(Queued queued) {
    begun = queued.number;
    try {
      guard.check();
      transport.run(queued.number, queued.operation);
      queued.end.complete(null);
    } catch (CollectiveException e) {
      queued.end.completeExceptionally(e);
    } catch (IOException | RuntimeException | Error e) {
      queued.end.completeExceptionally(guard.broken(queued.operation, e));
    }
  }

  /** What a rank says when an operation cannot go on. */
  private final class Guard implements Liveness {
    @Override
    public void check() {
      if (failure.isDone()) {
        throw failure.join();
      }
    }

    @Override
    public Duration patience() {
      return timeouts.step();
    }

    @Override
    public boolean isBehind(int peer) {
      return watch.operationOf(peer) < begun;
    }

    @Override
    public boolean hasLeft(int peer) {
      return watch.hasLeft(peer);
    }

    @Override
    public CollectiveException stuck(Operation operation, int peer, boolean hasNotCome) {
      if (!hasNotCome) {
        // Some other rank waits for the one that is behind, and is about to name it.
        CollectiveException known = explanation();
        if (known != null) {
          return known;
        }
      }
      return failHere(
          message(
              "%s because no byte moved for train.step-timeout = %s s. It waits for %s%s",
              cannotFinish(operation),
              timeouts.step().toSeconds(),
              named(peer),
              hasNotCome
                  ? ", which lives but has not come to this operation."
                  : " or one that this rank waits for."),
          null);
    }

    @Override
    public CollectiveException lost(Operation operation, int peer, IOException e) {
      CollectiveException known = explanation();
      if (known != null) {
        return known;
      }
      return failHere(
          watch.hasLeft(peer)
              ? message(
                  "%s because %s has closed its collective. All ranks must call the same operations.",
                  cannotFinish(operation), named(peer))
              : message(
                  "Lost %s in %s because its connection was closed.",
                  named(peer), operation.description()),
          e);
    }

    @Override
    public CollectiveException differs(Operation operation, int peer) {
      return failHere(
          message(
              "Cannot run %s as operation %s of rank %s because %s does another one as its operation %s. All ranks must call the same operations in the same order.",
              operation.description(), begun, rank, named(peer), begun),
          null);
    }

    CollectiveException broken(Operation operation, Throwable e) {
      CollectiveException known = explanation();
      return known != null
          ? known
          : failHere(cannotFinish(operation) + " because of " + e + ".", e);
    }

    private String cannotFinish(Operation operation) {
      return message(
          "Cannot finish %s (operation %s of rank %s)", operation.description(), begun, rank);
    }

    private String named(int peer) {
      return peers.get(peer).named(peer);
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

    private CollectiveException failHere(String text, Throwable cause) {
      fail(CollectiveException.primary(text, cause), new NeighbourWatch.Cause(rank, text));
      return failure.join();
    }
  }

  /** An operation in the queue. */
  private final class Queued implements Work {
    private final long number;
    private final Operation operation;
    private final CompletableFuture<Void> end;

    /**
     * @param number counts from 1, the same on every rank
     * @param operation what to do; null ends the thread
     * @param end completed when it is done
     */
    Queued(long number, Operation operation, CompletableFuture<Void> end) {
      this.number = number;
      this.operation = operation;
      this.end = end;
    }

    @Override
    public void await() {
      try {
        boolean ended = false;
        while (!ended) {
          ended = endsSoon();
        }
      } catch (ExecutionException e) {
        throw again(e.getCause());
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        CollectiveException interrupted =
            CollectiveException.primary(
                message(
                    "Cannot wait for %s because the thread was interrupted.",
                    operation.description()),
                e);
        abort(interrupted);
        throw interrupted;
      }
    }

    @Override
    public boolean isDone() {
      return end.isDone();
    }

    private boolean endsSoon() throws InterruptedException, ExecutionException {
      try {
        end.get(WAKE.toNanos(), TimeUnit.NANOSECONDS);
        return true;
      } catch (TimeoutException e) {
        return false;
      }
    }

    /** Whether it has ended, well or not, with all before it; also waits when interrupted. */
    boolean hasEndedWithin(Duration limit) {
      long start = System.nanoTime();
      while (!end.isDone() && System.nanoTime() - start < limit.toNanos()) {
        end.handle((done, failed) -> true)
            .completeOnTimeout(false, WAKE.toNanos(), TimeUnit.NANOSECONDS)
            .join();
      }
      return end.isDone();
    }

    /** The failure with the stack of the thread that waits for it. */
    private CollectiveException again(Throwable cause) {
      return cause instanceof CollectiveException e && e.isSecondary()
          ? CollectiveException.secondary(e.getMessage(), e)
          : CollectiveException.primary(cause.getMessage(), cause);
    }
  }
}
