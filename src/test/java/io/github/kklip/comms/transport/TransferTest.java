package io.github.kklip.comms.transport;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.config.ElementType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Rings in memory whose ranks send and receive by whims: what counts is what may go when. */
class TransferTest {
  /** Elements of a chunk. */
  private static final int CHUNK = 2 * 1024 * 1024 / Float.BYTES;

  /** A rank: what it does, and the bytes that are on their way to it. */
  private record Rank(Transfer transfer, FloatBuffer buffer, ByteBuffer pipe) {}

  @ParameterizedTest
  @ValueSource(ints = {2, 3, 4, 5})
  void everyByteGoesWhenItIsThere(int ranks) {
    Random whim = new Random(ranks);
    int[] counts = new int[ranks];
    for (int round = 0; round < 3; round++) {
      int[] choices = {0, 1, 3, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + CHUNK / 3};
      for (int r = 0; r < ranks; r++) {
        counts[r] = choices[whim.nextInt(choices.length)];
      }
      int elements = IntStream.of(counts).sum();
      int[] ends = counts.clone();
      Arrays.parallelPrefix(ends, Integer::sum);

      List<Rank> reduced =
          ran(ranks, elements, whim, b -> Operation.allReduce(b, ElementType.FLOAT32, ranks));
      for (Rank rank : reduced) {
        assertHolds(rank, 0, elements, i -> sum(ranks, i));
      }
      List<Rank> scattered =
          ran(
              ranks,
              elements,
              whim,
              b -> Operation.reduceScatter(b, ElementType.FLOAT32, ranks, counts));
      for (int r = 0; r < ranks; r++) {
        assertHolds(scattered.get(r), ends[r] - counts[r], ends[r], i -> sum(ranks, i));
      }
      List<Rank> gathered =
          ran(
              ranks,
              elements,
              whim,
              b -> Operation.allGather(b, ElementType.FLOAT32, ranks, counts));
      for (Rank rank : gathered) {
        for (int r = 0; r < ranks; r++) {
          int from = r;
          assertHolds(rank, ends[r] - counts[r], ends[r], i -> initial(from, i));
        }
      }
      int root = round % ranks;
      for (Rank rank : ran(ranks, elements, whim, b -> Operation.broadcast(b, root, ranks))) {
        assertHolds(rank, 0, elements, i -> initial(root, i));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 3, 4})
  void nobodyPassesABarrierBeforeTheLastHasCome(int ranks) {
    List<Transfer> transfers =
        IntStream.range(0, ranks).mapToObj(r -> Transfer.of(Operation.barrier(ranks), r)).toList();
    // The last rank does not come; the others send what they can.
    int moved = 1;
    while (moved > 0) {
      moved = 0;
      for (int r = 0; r < ranks - 1; r++) {
        for (Transfer.Outgoing out : transfers.get(r).outgoing()) {
          int sendable = out.sendable();
          out.chunk().position(out.chunk().position() + sendable);
          moved += sendable;
          if (r + 1 < ranks - 1) {
            for (int b = 0; b < sendable; b++) {
              next(transfers.get(r + 1)).get();
            }
          }
        }
      }
    }
    for (int r = 0; r < ranks - 1; r++) {
      assertThat(transfers.get(r).incoming()).anyMatch(in -> in.chunk().hasRemaining());
    }
  }

  private static ByteBuffer next(Transfer transfer) {
    return transfer.incoming().stream()
        .map(Transfer.Incoming::chunk)
        .filter(ByteBuffer::hasRemaining)
        .findFirst()
        .orElseThrow();
  }

  private interface Call {
    Operation on(ByteBuffer buffer);
  }

  private interface Value {
    float at(int i);
  }

  private static float initial(int rank, int i) {
    return i % 97 + 100 * rank;
  }

  private static float sum(int ranks, int i) {
    return ranks * (i % 97) + 100 * (ranks * (ranks - 1) / 2);
  }

  private static void assertHolds(Rank rank, int from, int to, Value value) {
    for (int i = from; i < to; i++) {
      if (rank.buffer().get(i) != value.at(i)) {
        assertThat(rank.buffer().get(i)).as("element %d", i).isEqualTo(value.at(i));
      }
    }
  }

  private static List<Rank> ran(int ranks, int elements, Random whim, Call call) {
    List<Rank> all = new ArrayList<>();
    for (int r = 0; r < ranks; r++) {
      ByteBuffer buffer = buffer(elements);
      FloatBuffer floats = buffer.asFloatBuffer();
      for (int i = 0; i < elements; i++) {
        floats.put(i, initial(r, i));
      }
      all.add(new Rank(Transfer.of(call.on(buffer), r), floats, buffer(2 * elements)));
    }
    long open = 1;
    while (open > 0) {
      open = 0;
      for (int r = 0; r < ranks; r++) {
        Rank rank = all.get(r);
        int most = Float.BYTES * (1 + whim.nextInt(CHUNK));
        send(rank.transfer(), all.get((r + 1) % ranks).pipe(), most);
        take(rank, most);
        open +=
            rank.transfer().incoming().stream().filter(in -> in.chunk().hasRemaining()).count()
                + rank.transfer().outgoing().stream()
                    .filter(out -> out.chunk().hasRemaining())
                    .count();
      }
    }
    return all;
  }

  private static void send(Transfer transfer, ByteBuffer pipe, int most) {
    for (Transfer.Outgoing out : transfer.outgoing()) {
      if (out.chunk().hasRemaining()) {
        int n = Math.min(out.sendable(), most);
        pipe.put(out.chunk().slice(out.chunk().position(), n));
        out.chunk().position(out.chunk().position() + n);
        return;
      }
    }
  }

  private static void take(Rank rank, int most) {
    ByteBuffer come = rank.pipe().flip();
    for (Transfer.Incoming in : rank.transfer().incoming()) {
      if (in.chunk().hasRemaining()) {
        // Halves of a chunk may end within an element; what is added are whole ones.
        int n = Math.min(Math.min(come.remaining(), in.chunk().remaining()), most);
        n -= in.summed() ? n % Float.BYTES : 0;
        ByteBuffer from = come.slice(come.position(), n).order(ByteOrder.nativeOrder());
        ByteBuffer to = in.chunk().slice(in.chunk().position(), n).order(ByteOrder.nativeOrder());
        for (int b = 0; in.summed() && b + Float.BYTES <= n; b += Float.BYTES) {
          to.putFloat(b, to.getFloat(b) + from.getFloat(b));
        }
        if (!in.summed()) {
          to.put(from);
        }
        come.position(come.position() + n);
        in.chunk().position(in.chunk().position() + n);
        break;
      }
    }
    come.compact();
  }

  private static ByteBuffer buffer(int elements) {
    return ByteBuffer.allocate(elements * Float.BYTES).order(ByteOrder.nativeOrder());
  }
}
