package io.github.kklip.comms.memory;

import io.github.kklip.comms.transport.Liveness;
import io.github.kklip.comms.transport.Operation;
import io.github.kklip.comms.transport.Transport;
import io.github.kklip.config.ElementType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * How ranks find out which of them share memory. Equal host names prove nothing, so each puts a
 * nonce into a file of its own and tells its name; who can read the nonce tells it back. All of
 * that is gathered over the ring, so that all ranks decide on the same table.
 */
public final class Sharing {
  private static final Logger LOG = LoggerFactory.getLogger(Sharing.class);

  /** The ranks of each machine, in order, and the memory of this one's (null: it is alone). */
  public record SharingResult(List<int[]> machines, SharedMemory local) {}

  private final Transport ring;
  private final int rank;
  private final int ranks;
  private final Liveness liveness;
  private long operations;

  public Sharing(Transport ring, int rank, int ranks, Liveness liveness) {
    this.ring = ring;
    this.rank = rank;
    this.ranks = ranks;
    this.liveness = liveness;
  }

  /** Finds the machines and maps their memory; all ranks come to the same machines. */
  public SharingResult find(Path folder) throws IOException {
    int bytes = SharedMemory.segmentBytes(ranks);
    Optional<SharedSegment> own = offer(folder, bytes);
    try {
      List<byte[]> names =
          gather(
              own.map(s -> s.name().getBytes(StandardCharsets.US_ASCII)).orElse(new byte[0]),
              SharedSegment.NAME_BYTES);
      List<String> files =
          names.stream().map(n -> new String(n, StandardCharsets.US_ASCII).trim()).toList();
      boolean[][] proven = prove(folder, files, own);
      List<int[]> machines = machines(proven);
      int[] mine =
          machines.stream()
              .filter(m -> Arrays.binarySearch(m, rank) >= 0)
              .findFirst()
              .orElseThrow();
      List<ByteBuffer> segments = mine.length == 1 ? List.of() : map(folder, files, mine, bytes);
      // Who cannot map what it can read takes its whole machine along to TCP.
      boolean[] failed = new boolean[ranks];
      boolean any = false;
      List<byte[]> ends = gather(new byte[] {(byte) (segments == null ? 1 : 0)}, 1);
      for (int r = 0; r < ranks; r++) {
        failed[r] = ends.get(r)[0] != 0;
        any |= failed[r];
      }
      if (any) {
        machines = machines.stream().flatMap(m -> apart(m, failed).stream()).toList();
        boolean alone = Arrays.stream(mine).anyMatch(r -> failed[r]);
        mine = alone ? new int[] {rank} : mine;
      }
      return new SharingResult(
          machines,
          mine.length == 1
              ? null
              : new SharedMemory(mine, Arrays.binarySearch(mine, rank), segments, liveness));
    } finally {
      if (own.isPresent()) {
        own.get().close();
      }
    }
  }

  private Optional<SharedSegment> offer(Path folder, int bytes) {
    try {
      return Optional.of(SharedSegment.create(folder, bytes));
    } catch (IOException e) {
      LOG.warn("Rank {} uses TCP alone: {}", rank, e.getMessage());
      return Optional.empty();
    }
  }

  /** Whether rank a has read the nonce of rank b, for all a and b. */
  private boolean[][] prove(Path folder, List<String> files, Optional<SharedSegment> own)
      throws IOException {
    int nonce = SharedSegment.NONCE_BYTES;
    byte[] read = new byte[ranks * nonce];
    for (int r = 0; r < ranks; r++) {
      System.arraycopy(SharedSegment.read(folder, files.get(r)), 0, read, r * nonce, nonce);
    }
    List<byte[]> readings = gather(read, read.length);
    byte[] readers = new byte[ranks];
    for (int r = 0; r < ranks; r++) {
      byte[] reading = Arrays.copyOfRange(readings.get(r), rank * nonce, (rank + 1) * nonce);
      readers[r] = (byte) (own.isPresent() && own.get().isProof(reading) ? 1 : 0);
    }
    List<byte[]> all = gather(readers, ranks);
    boolean[][] proven = new boolean[ranks][ranks];
    for (int a = 0; a < ranks; a++) {
      for (int b = 0; b < ranks; b++) {
        proven[a][b] = all.get(b)[a] != 0;
      }
    }
    return proven;
  }

  /** Sets of ranks that have all read each other's nonces. */
  public static List<int[]> machines(boolean[][] proven) {
    List<int[]> machines = new ArrayList<>();
    TreeSet<Integer> left = new TreeSet<>();
    for (int r = 0; r < proven.length; r++) {
      left.add(r);
    }
    while (!left.isEmpty()) {
      List<Integer> machine = new ArrayList<>();
      for (int candidate : left) {
        if (machine.stream().allMatch(m -> proven[m][candidate] && proven[candidate][m])) {
          machine.add(candidate);
        }
      }
      machine.forEach(left::remove);
      machines.add(machine.stream().mapToInt(Integer::intValue).toArray());
    }
    return machines;
  }

  private static List<int[]> apart(int[] machine, boolean[] failed) {
    return Arrays.stream(machine).noneMatch(r -> failed[r])
        ? List.of(machine)
        : Arrays.stream(machine).mapToObj(r -> new int[] {r}).toList();
  }

  /** The memory of all of these ranks; null when it cannot be mapped. */
  private List<ByteBuffer> map(Path folder, List<String> files, int[] machine, int bytes) {
    List<ByteBuffer> segments = new ArrayList<>();
    try {
      for (int r : machine) {
        segments.add(SharedSegment.map(folder, files.get(r), bytes));
      }
      return segments;
    } catch (IOException e) {
      LOG.warn("Rank {} uses TCP alone: it cannot map shared memory: {}", rank, e.toString());
      return null;
    }
  }

  /** What every rank gives, in order; shorter ones are filled up with zeros. */
  private List<byte[]> gather(byte[] own, int bytes) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocateDirect(ranks * bytes);
    buffer.put(rank * bytes, own);
    int[] counts = new int[ranks];
    Arrays.fill(counts, bytes);
    ring.run(- ++operations, Operation.allGather(buffer, ElementType.UINT8, ranks, counts));
    List<byte[]> all = new ArrayList<>();
    for (int r = 0; r < ranks; r++) {
      byte[] one = new byte[bytes];
      buffer.get(r * bytes, one);
      all.add(one);
    }
    return all;
  }
}
