package io.github.kklip.comms;

import io.github.kklip.comms.memory.SharedMemory;
import io.github.kklip.comms.tcp.TcpRing;
import io.github.kklip.comms.transport.Closing;
import io.github.kklip.comms.transport.Operation;
import io.github.kklip.comms.transport.RankShards;
import io.github.kklip.comms.transport.Transport;
import io.github.kklip.config.ElementType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;

/**
 * Ranks on several machines. An all-reduce sums within each machine through shared memory, over the
 * machines by TCP, and spreads the sums within each machine. With L ranks on the smallest machine
 * there are L lanes, each a ring of one rank of every machine that sums one L-th of the buffer, so
 * that every byte crosses a machine's network as if there were one rank on it. The other operations
 * go round the ring of all ranks.
 */
final class Hierarchy implements Transport {
  private final List<int[]> machines;
  private final Transport all;
  private final SharedMemory local;
  private final TcpRing lane;
  private final int ranksHere;
  private final int place;

  /**
   * @param machines the ranks of each machine
   * @param all over all ranks
   * @param local over the ranks of this machine; null when there is only this one
   * @param lane over one rank of each machine; null when this rank is in none
   * @param ranksHere how many ranks this machine has
   * @param place this rank's place among them
   */
  Hierarchy(
      List<int[]> machines,
      Transport all,
      SharedMemory local,
      TcpRing lane,
      int ranksHere,
      int place) {
    this.machines = machines;
    this.ranksHere = ranksHere;
    this.all = all;
    this.local = local;
    this.lane = lane;
    this.place = place;
  }

  /** How many rings there are between machines. */
  static int lanes(List<int[]> machines) {
    return machines.stream().mapToInt(m -> m.length).min().orElseThrow();
  }

  @Override
  public String name() {
    return "hierarchical " + machines.stream().map(m -> Integer.toString(m.length)).toList();
  }

  @Override
  public void run(long number, Operation operation) throws IOException {
    if (operation.kind() != Operation.OperationKind.ALL_REDUCE) {
      all.run(number, operation);
      return;
    }
    ByteBuffer buffer = operation.buffer();
    ElementType type = operation.type();
    int lanes = lanes(machines);
    int[] even = RankShards.evenCounts(buffer.remaining() / type.bytes(), lanes);
    int[] counts = Arrays.copyOf(even, ranksHere);
    if (local != null) {
      local.run(number, Operation.reduceScatter(buffer, type, ranksHere, counts));
    }
    if (lane != null) {
      ByteBuffer own = RankShards.of(buffer, type, counts, ranksHere).shard(place);
      lane.run(number, Operation.allReduce(own, type, machines.size()));
    }
    if (local != null) {
      local.run(number, Operation.allGather(buffer, type, ranksHere, counts));
    }
  }

  @Override
  public void wake() {
    all.wake();
    if (lane != null) {
      lane.wake();
    }
  }

  @Override
  public void close() {
    Closing.quietly(all);
    Closing.quietly(lane);
  }
}
