package io.github.kklip.comms.memory;

import io.github.kklip.comms.transport.Accumulator;
import io.github.kklip.comms.transport.Liveness;
import io.github.kklip.comms.transport.Operation;
import io.github.kklip.comms.transport.RankShards;
import io.github.kklip.comms.transport.Transport;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Ranks of one machine that work in memory they share. Each has a {@link SharedSegment} that it
 * alone writes and all read.
 *
 * <p>With N ranks, a round moves the same chunk of all N shards of the buffer. Three stages follow
 * each other, and those of successive rounds overlap:
 *
 * <ol>
 *   <li>scatter: each rank puts the chunks of the others' shards into its segment;
 *   <li>reduce: each adds up the chunk of its own shard, from its buffer and the N-1 segments, and
 *       puts the sum into its buffer and its segment;
 *   <li>gather: each takes the chunks of the others' shards from their segments.
 * </ol>
 *
 * All-reduce has all three, reduce-scatter the first two, all-gather and broadcast the last, after
 * each rank has put its own chunk into its segment. Rounds take the {@link SegmentSlots} of a
 * segment in turn. Terms are added in the order of the TCP ring, so that both give the same bytes.
 */
public final class SharedMemory implements Transport {
  private static final VarHandle LONG =
      MethodHandles.byteBufferViewVarHandle(long[].class, ByteOrder.nativeOrder());

  /** Counters of a rank stand apart, so that readers of one do not disturb writers of another. */
  private static final int OPENED = 1024;

  private static final int FINGERPRINTS = OPENED + 16;
  private static final int SCATTERED = 1152;
  private static final int REDUCED = 1280;
  private static final int GATHERED = 1408;
  private static final int WAYS = 1536;
  static final int DATA = 4096;

  /** Beside each counter stands how many ranks sleep until it changes. */
  private static final int SLEEPERS = Long.BYTES;

  /** A wait that is shorter costs less than a sleep; only where every rank has a processor. */
  private static final long SPIN_NANOS = 30_000;

  /** Failures that nobody wakes for are seen after this time. */
  private static final Duration SLEEP = Duration.ofMillis(50);

  private final int[] members;
  private final int position;
  private final List<ByteBuffer> segments;
  private final Liveness liveness;
  private final SegmentSlots slots;
  private final Accumulator accumulator = new Accumulator();
  private final int chunkBytes;
  private final long spinNanos;

  /** By counter and rank. */
  private final Map<Integer, Futex[]> futexes = new HashMap<>();

  /** Operations begun, and rounds of all operations before this one. */
  private long opened;

  private long before;

  /** Nanoseconds of all waits. */
  private long waited;

  /**
   * @param members the ranks that share, in ascending order
   * @param position where this rank stands among them
   * @param segments the memory of each, mapped
   */
  SharedMemory(int[] members, int position, List<ByteBuffer> segments, Liveness liveness) {
    this.members = members.clone();
    this.position = position;
    this.segments = List.copyOf(segments);
    this.liveness = liveness;
    chunkBytes = Math.max(64, SegmentSlots.SLOT_BYTES / members.length / 64 * 64);
    // A segment is made before a rank knows how many share it.
    int room = (segments.get(0).capacity() - DATA) / (members.length * chunkBytes);
    slots = new SegmentSlots(segments.get(0), WAYS, room);
    spinNanos = members.length <= Runtime.getRuntime().availableProcessors() ? SPIN_NANOS : 0;
    for (int counter : new int[] {OPENED, SCATTERED, REDUCED, GATHERED}) {
      futexes.put(
          counter,
          segments.stream().map(segment -> new Futex(segment, counter)).toArray(Futex[]::new));
    }
  }

  /** Bytes of a segment for that many ranks. */
  static int segmentBytes(int ranks) {
    return DATA + SegmentSlots.many(ranks) * Math.max(SegmentSlots.SLOT_BYTES, 64 * ranks);
  }

  @Override
  public String name() {
    return "shared-memory";
  }

  @Override
  public void wake() {
    // No sleep here is longer than SLEEP.
  }

  @Override
  public void run(long number, Operation operation) {
    open(operation);
    if (operation.kind() == Operation.OperationKind.BARRIER) {
      return;
    }
    RankShards shards = operation.cut();
    int rounds = (shards.longest() + chunkBytes - 1) / chunkBytes;
    boolean sums = operation.kind().sums();
    boolean gathers = operation.kind() != Operation.OperationKind.REDUCE_SCATTER;
    for (int step = 0; step < rounds + 2; step++) {
      long start = System.nanoTime() - waited;
      if (step < rounds) {
        // The slot is free when all have gathered what was in it.
        await(operation, GATHERED, before + step + 1 - SegmentSlots.FEW);
        if (position == 0) {
          slots.begin(before + step);
        }
        if (sums) {
          scatter(shards, step);
        }
        set(SCATTERED, before + step + 1);
      }
      if (step >= 1 && step <= rounds) {
        if (sums) {
          await(operation, SCATTERED, before + step);
          reduce(shards, step - 1, operation);
        } else {
          put(shards, step - 1, position);
        }
        set(REDUCED, before + step);
      }
      if (step >= 2) {
        await(operation, REDUCED, before + step - 1);
        if (gathers) {
          gather(shards, step - 2);
        }
        set(GATHERED, before + step - 1);
      }
      if (position == 0 && step >= 2 && step < rounds - 1) {
        slots.took(System.nanoTime() - waited - start);
      }
    }
    before += rounds;
  }

  /** All have come to the same operation. */
  private void open(Operation operation) {
    opened++;
    ByteBuffer own = segments.get(position);
    // Two places in turn: who is one operation ahead does not overwrite what others still read.
    own.putLong(fingerprintAt(), operation.fingerprint());
    set(OPENED, opened);
    await(operation, OPENED, opened);
    for (int r = 0; r < members.length; r++) {
      if (segments.get(r).getLong(fingerprintAt()) != operation.fingerprint()) {
        throw liveness.differs(operation, members[r]);
      }
    }
  }

  private int fingerprintAt() {
    return FINGERPRINTS + (int) (opened & 1) * Long.BYTES;
  }

  private void scatter(RankShards shards, int round) {
    for (int k = 1; k < members.length; k++) {
      put(shards, round, (position + k) % members.length);
    }
  }

  private void put(RankShards shards, int round, int shard) {
    ByteBuffer chunk = chunk(shards, round, shard);
    slot(position, round, shard).put(chunk);
  }

  private void reduce(RankShards shards, int round, Operation operation) {
    ByteBuffer own = chunk(shards, round, position);
    int bytes = own.remaining();
    // The ring's all-reduce begins with the shard's own rank, its reduce-scatter with the next.
    int first = operation.kind() == Operation.OperationKind.ALL_REDUCE ? 0 : 1;
    ByteBuffer[] terms = new ByteBuffer[members.length];
    for (int k = 0; k < members.length; k++) {
      int r = (position + first + k) % members.length;
      terms[k] = r == position ? own : slot(r, round, position).limit(bytes);
    }
    accumulator.sum(operation.type(), own, slot(position, round, position), terms);
  }

  private void gather(RankShards shards, int round) {
    for (int k = 1; k < members.length; k++) {
      int r = (position + k) % members.length;
      ByteBuffer chunk = chunk(shards, round, r);
      chunk.put(slot(r, round, r).limit(chunk.remaining()));
    }
  }

  /** The chunk of a shard that a round moves; empty beyond the shard's end. */
  private ByteBuffer chunk(RankShards shards, int round, int shard) {
    return shards.chunk(shard, (long) round * chunkBytes, chunkBytes);
  }

  /** Where the segment of the rank at {@code owner} has the chunk of {@code shard}. */
  private ByteBuffer slot(int owner, int round, int shard) {
    int index = slots.of(before + round);
    return segments
        .get(owner)
        .slice(DATA + (index * members.length + shard) * chunkBytes, chunkBytes)
        .order(ByteOrder.nativeOrder());
  }

  private void set(int counter, long value) {
    ByteBuffer own = segments.get(position);
    // In this order, and a sleeper counts itself before it looks at the counter again: one sees the
    // other.
    LONG.setVolatile(own, counter, value);
    if ((long) LONG.getVolatile(own, counter + SLEEPERS) != 0) {
      futexes.get(counter)[position].wake();
    }
  }

  private void await(Operation operation, int counter, long value) {
    for (int r = 0; r < members.length; r++) {
      if (r != position) {
        awaitRank(operation, r, counter, value);
      }
    }
  }

  @SuppressWarnings("ThreadPriorityCheck") // Yielding only saves a sleep; nothing relies on it.
  private void awaitRank(Operation operation, int r, int counter, long value) {
    ByteBuffer segment = segments.get(r);
    long start = 0;
    int tries = 0;
    while ((long) LONG.getAcquire(segment, counter) < value) {
      long now = System.nanoTime();
      start = start == 0 ? now : start;
      if (now - start < spinNanos) {
        Thread.onSpinWait();
        continue;
      }
      if (tries < TRIES) {
        tries++;
        Thread.yield();
        continue;
      }
      liveness.check();
      // Left after its counter was read, it may have finished before.
      if (liveness.hasLeft(members[r]) && (long) LONG.getAcquire(segment, counter) < value) {
        throw liveness.lost(operation, members[r], null);
      }
      if (now - start > liveness.patience().toNanos()) {
        throw liveness.stuck(operation, members[r], counter == OPENED);
      }
      LONG.getAndAdd(segment, counter + SLEEPERS, 1L);
      long seen = (long) LONG.getVolatile(segment, counter);
      if (seen < value) {
        futexes.get(counter)[r].sleep((int) seen, SLEEP);
      }
      LONG.getAndAdd(segment, counter + SLEEPERS, -1L);
    }
    waited += start == 0 ? 0 : System.nanoTime() - start;
  }

  @Override
  public void close() {
    // The memory is unmapped with its buffers; the files are gone since all have mapped them.
  }
}
