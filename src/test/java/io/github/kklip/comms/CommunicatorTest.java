package io.github.kklip.comms;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.kklip.LogLines;
import io.github.kklip.comms.memory.Sharing;
import io.github.kklip.comms.tcp.Handshake;
import io.github.kklip.comms.tcp.Peer;
import io.github.kklip.comms.tcp.RingListener;
import io.github.kklip.comms.tcp.TcpRing;
import io.github.kklip.comms.transport.Accumulator;
import io.github.kklip.comms.transport.CollectiveException;
import io.github.kklip.comms.transport.Timeouts;
import io.github.kklip.config.ElementType;
import io.github.kklip.config.TrainSettings;
import java.io.IOException;
import java.io.InputStream;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class CommunicatorTest {
  private static final String DROPPED_CONNECTIONS = "io.github.kklip.comms.tcp.DroppedConnections";
  private static final Pattern DROPPED = Pattern.compile("dropped (\\d+) connection");

  @TempDir private static Path folder;

  /** How ranks are connected. */
  private enum Way {
    TCP,
    ENCRYPTED,
    SHARED,
    /** Two ranks on each machine but the last. */
    MACHINES;

    private TransportOptions options(int rank) {
      return switch (this) {
        case TCP -> new TransportOptions(TrainSettings.TransportChoice.TCP, "", false);
        case ENCRYPTED -> new TransportOptions(TrainSettings.TransportChoice.TCP, "", true);
        case SHARED ->
            new TransportOptions(
                TrainSettings.TransportChoice.SHARED_MEMORY, folder.toString(), false);
        case MACHINES ->
            new TransportOptions(TrainSettings.TransportChoice.AUTO, machine(rank / 2), false);
      };
    }

    private static String machine(int number) {
      Path path = folder.resolve("machine-" + number);
      path.toFile().mkdir();
      return path.toString();
    }

    private <T> List<T> run(int ranks, Ranks.Body<T> body) throws Exception {
      return Ranks.run(ranks, this::options, body);
    }

    private <T> List<Future<T>> outcomes(int ranks, Timeouts timeouts, Ranks.Body<T> body)
        throws Exception {
      return Ranks.outcomes(ranks, timeouts, this::options, body);
    }
  }

  /** No shared memory outlives the ring of the ranks. */
  @AfterEach
  void nothingIsLeft() throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      assertThat(files.filter(Files::isRegularFile)).isEmpty();
    }
  }

  private static ByteBuffer floats(long seed, int count) {
    ByteBuffer buffer =
        ByteBuffer.allocateDirect(count * Float.BYTES).order(ByteOrder.nativeOrder());
    SplittableRandom random = new SplittableRandom(seed);
    for (int i = 0; i < count; i++) {
      buffer.putFloat(i * Float.BYTES, (float) random.nextGaussian());
    }
    return buffer;
  }

  private static byte[] bytes(ByteBuffer buffer) {
    byte[] bytes = new byte[buffer.remaining()];
    buffer.duplicate().get(bytes);
    return bytes;
  }

  @ParameterizedTest
  @CsvSource({
    "1, 5",
    "2, 0",
    "2, 1",
    "2, 7",
    "3, 1",
    "3, 2",
    "3, 100",
    "4, 3",
    "4, 250000",
    "5, 70001",
    "2, 4194304",
    "3, 1000001"
  })
  void allReduceIsTheSumAndTheSameBytesEverywhere(int ranks, int count) throws Exception {
    double[] sums = new double[count];
    for (int r = 0; r < ranks; r++) {
      ByteBuffer term = floats(r, count);
      for (int i = 0; i < count; i++) {
        sums[i] += term.getFloat(i * Float.BYTES);
      }
    }
    byte[] byTcp = null;
    for (Way way : Way.values()) {
      List<byte[]> results =
          way.run(
              ranks,
              collective -> {
                ByteBuffer buffer = floats(collective.rank(), count);
                collective.allReduce(buffer, ElementType.FLOAT32).await();
                return bytes(buffer);
              });
      ByteBuffer result = ByteBuffer.wrap(results.get(0)).order(ByteOrder.nativeOrder());
      double worst = 0;
      for (int i = 0; i < count; i++) {
        worst = Math.max(worst, Math.abs(result.getFloat(i * Float.BYTES) - sums[i]));
      }
      assertThat(worst).as("%s", way).isLessThan(4e-6);
      assertThat(results).allSatisfy(r -> assertThat(r).isEqualTo(results.get(0)));
      byTcp = byTcp == null ? results.get(0) : byTcp;
      if (way != Way.MACHINES) {
        assertThat(results.get(0)).as("%s", way).isEqualTo(byTcp);
      }
    }
  }

  @Test
  void theTransportIsTheFastestThatTheRanksProve() throws Exception {
    assertThat(Way.SHARED.run(3, Collective::transport)).containsOnly("shared-memory");
    assertThat(Way.TCP.run(3, Collective::transport)).containsOnly("tcp");
    assertThat(Way.MACHINES.run(3, Collective::transport)).containsOnly("hierarchical [2, 1]");
    assertThat(Way.MACHINES.run(2, Collective::transport)).containsOnly("shared-memory");
    // Nobody sees the same folder, or it cannot be written at all.
    assertThat(
            Ranks.run(
                3,
                rank ->
                    new TransportOptions(
                        TrainSettings.TransportChoice.AUTO, Way.machine(rank), false),
                Collective::transport))
        .containsOnly("tcp");
    assertThat(
            Ranks.run(
                2,
                new TransportOptions(
                    TrainSettings.TransportChoice.AUTO, "/proc/self/nowhere", false),
                Collective::transport))
        .containsOnly("tcp");
    for (Future<String> outcome :
        Ranks.outcomes(
            3,
            Ranks.TIMEOUTS,
            rank ->
                new TransportOptions(
                    TrainSettings.TransportChoice.SHARED_MEMORY, Way.machine(rank / 2), false),
            Collective::transport)) {
      assertThat(failure(outcome))
          .hasMessageContaining("Cannot use train.transport = shared-memory because")
          .hasMessageContaining("[[0, 1], [2]]");
    }
  }

  @Test
  void ranksOfUnequalMachinesSum() throws Exception {
    int[] machines = {0, 1, 0, 2, 0, 1};
    List<byte[]> results =
        Ranks.run(
            6,
            rank ->
                new TransportOptions(
                    TrainSettings.TransportChoice.AUTO, Way.machine(machines[rank]), rank >= 0),
            collective -> {
              assertThat(collective.transport()).isEqualTo("hierarchical [3, 2, 1]");
              ByteBuffer buffer = floats(0, 300_001);
              collective.allReduce(buffer, ElementType.FLOAT32).await();
              return bytes(buffer);
            });
    ByteBuffer result = ByteBuffer.wrap(results.get(5)).order(ByteOrder.nativeOrder());
    ByteBuffer term = floats(0, 300_001);
    for (int i = 0; i < 300_001; i++) {
      assertThat(result.getFloat(4 * i)).isCloseTo(6 * term.getFloat(4 * i), within(1e-5f));
    }
    assertThat(results).allSatisfy(r -> assertThat(r).isEqualTo(results.get(0)));
  }

  @Test
  void onlyRanksThatAllProveItToEachOtherAreOneMachine() {
    boolean[][] proven = new boolean[4][4];
    IntStream.range(0, 4).forEach(r -> proven[r][r] = true);
    proven[0][1] = true; // But not the other way.
    proven[0][2] = true;
    proven[2][0] = true;
    proven[2][3] = true;
    proven[3][2] = true; // 0 and 3 do not see each other.
    assertThat(Sharing.machines(proven))
        .containsExactly(new int[] {0, 2}, new int[] {1}, new int[] {3});
  }

  @ParameterizedTest
  @EnumSource(Way.class)
  void halvesAreSummedAndRoundedToTheNearest(Way way) throws Exception {
    List<float[]> results =
        way.run(
            4,
            collective -> {
              ByteBuffer buffer = ByteBuffer.allocateDirect(8).order(ByteOrder.nativeOrder());
              float[] values = {
                1 + collective.rank(), 256, collective.rank() == 2 ? Float.NaN : 1, -0.5f
              };
              for (int i = 0; i < 4; i++) {
                buffer.putShort(2 * i, Accumulator.round(values[i]));
              }
              collective.allReduce(buffer, ElementType.BFLOAT16).await();
              float[] sums = new float[4];
              for (int i = 0; i < 4; i++) {
                sums[i] = Float.intBitsToFloat(buffer.getShort(2 * i) << 16);
              }
              return sums;
            });
    assertThat(results).allSatisfy(s -> assertThat(s).containsExactly(10, 1024, Float.NaN, -2));
    // Eight bits of mantissa: 257 lies between 256 and 258, and the even one is 256.
    assertThat(Accumulator.round(257)).isEqualTo(Accumulator.round(256));
    assertThat(Accumulator.round(259)).isEqualTo(Accumulator.round(260));
    assertThat(Accumulator.round(Float.POSITIVE_INFINITY)).isEqualTo((short) 0x7f80);
  }

  @ParameterizedTest
  @EnumSource(Way.class)
  void theSameRanksGiveTheSameBytesTwice(Way way) throws Exception {
    Ranks.Body<byte[]> body =
        collective -> {
          ByteBuffer buffer = floats(7 + collective.rank(), 70_001);
          collective.allReduce(buffer, ElementType.FLOAT32).await();
          return bytes(buffer);
        };
    assertThat(way.run(4, body).get(2)).isEqualTo(way.run(4, body).get(1));
  }

  @ParameterizedTest
  @EnumSource(Way.class)
  void doublesAreSummedAsDoubles(Way way) throws Exception {
    List<double[]> sums =
        way.run(3, collective -> collective.sum(1e16, Math.pow(10, -collective.rank()), 0.5));
    assertThat(sums).allSatisfy(s -> assertThat(s).containsExactly(3e16, 1 + 0.1 + 0.01, 1.5));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4})
  void unevenPartsAreScatteredAndGathered(int ranks) throws Exception {
    for (Way way : Way.values()) {
      int[] counts = new int[ranks];
      int total = 0;
      for (int r = 0; r < ranks; r++) {
        counts[r] = r == 1 ? 0 : 5 + 40_000 * r;
        total += counts[r];
      }
      int all = total;
      List<byte[]> results =
          way.run(
              ranks,
              collective -> {
                ByteBuffer buffer =
                    ByteBuffer.allocateDirect(all * 4).order(ByteOrder.nativeOrder());
                for (int i = 0; i < all; i++) {
                  buffer.putFloat(4 * i, i % 1000 + collective.rank());
                }
                collective.reduceScatter(buffer, ElementType.FLOAT32, counts).await();
                int start = 0;
                for (int r = 0; r < collective.rank(); r++) {
                  start += counts[r];
                }
                for (int i = 0; i < all; i++) {
                  if (i < start || i >= start + counts[collective.rank()]) {
                    buffer.putFloat(4 * i, -1);
                  }
                }
                collective.allGather(buffer, ElementType.FLOAT32, counts).await();
                return bytes(buffer);
              });
      float ofRanks = ranks * (ranks - 1) / 2f;
      for (byte[] result : results) {
        ByteBuffer buffer = ByteBuffer.wrap(result).order(ByteOrder.nativeOrder());
        int wrong = 0;
        for (int i = 0; i < all; i++) {
          wrong += buffer.getFloat(4 * i) == ranks * (i % 1000) + ofRanks ? 0 : 1;
        }
        assertThat(wrong).isZero();
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"1, 0", "2, 1", "3, 0", "3, 2", "4, 1"})
  void everyRankGetsTheRootsBytes(int ranks, int root) throws Exception {
    for (Way way : Way.values()) {
      List<byte[]> results =
          way.run(
              ranks,
              collective -> {
                ByteBuffer buffer = floats(collective.rank(), 123_457);
                collective.broadcast(buffer, root).await();
                return bytes(buffer);
              });
      assertThat(results).allSatisfy(r -> assertThat(r).isEqualTo(bytes(floats(root, 123_457))));
    }
  }

  @ParameterizedTest
  @EnumSource(Way.class)
  void onlyTheBytesBetweenPositionAndLimitChange(Way way) throws Exception {
    way.run(
        2,
        collective -> {
          ByteBuffer buffer = ByteBuffer.allocateDirect(16).order(ByteOrder.nativeOrder());
          for (int i = 0; i < 4; i++) {
            buffer.putFloat(4 * i, 1 + i);
          }
          buffer.position(4).limit(12);
          collective.allReduce(buffer, ElementType.FLOAT32).await();
          assertThat(buffer.position()).isEqualTo(4);
          assertThat(buffer.limit()).isEqualTo(12);
          buffer.clear();
          assertThat(buffer.getFloat(0)).isEqualTo(1);
          assertThat(buffer.getFloat(4)).isEqualTo(4);
          assertThat(buffer.getFloat(8)).isEqualTo(6);
          assertThat(buffer.getFloat(12)).isEqualTo(4);
          return null;
        });
  }

  @ParameterizedTest
  @EnumSource(Way.class)
  void manyOperationsQueueInOrder(Way way) throws Exception {
    List<Double> last =
        way.run(
            3,
            collective -> {
              List<Work> pending = new ArrayList<>();
              List<ByteBuffer> buffers = new ArrayList<>();
              for (int i = 0; i < 200; i++) {
                ByteBuffer buffer = floats(i, 1 + i * 13 % 997);
                buffers.add(buffer);
                pending.add(collective.allReduce(buffer, ElementType.FLOAT32));
              }
              pending.add(collective.barrier());
              for (Work p : pending) {
                p.await();
                assertThat(p.isDone()).isTrue();
              }
              return (double) buffers.get(199).getFloat(0) / floats(199, 1).getFloat(0);
            });
    assertThat(last).allSatisfy(x -> assertThat(x).isCloseTo(3, within(1e-6)));
  }

  @ParameterizedTest
  @EnumSource(Way.class)
  void nobodyLeavesTheBarrierBeforeAllHaveCome(Way way) throws Exception {
    CompletableFuture<Void> come = new CompletableFuture<>();
    way.run(
        3,
        collective -> {
          if (collective.rank() == 1) {
            assertThatThrownBy(() -> come.get(100, TimeUnit.MILLISECONDS))
                .isInstanceOf(java.util.concurrent.TimeoutException.class);
            come.complete(null);
          }
          collective.barrier().await();
          assertThat(come).isDone();
          return null;
        });
  }

  @ParameterizedTest
  @EnumSource(Way.class)
  void anAbortReachesEveryRankWithItsCause(Way way) throws Exception {
    List<Future<Object>> outcomes =
        way.outcomes(
            4,
            Ranks.TIMEOUTS,
            collective -> {
              if (collective.rank() == 2) {
                collective.abort(new IllegalStateException("the picture is upside down"));
              }
              ByteBuffer buffer = floats(1, 1_000_000);
              while (true) {
                collective.allReduce(buffer, ElementType.FLOAT32).await();
              }
            });
    for (int r = 0; r < 4; r++) {
      CollectiveException e = failure(outcomes.get(r));
      assertThat(e).hasMessageContaining("the picture is upside down");
      assertThat(e.isSecondary()).isEqualTo(r != 2);
      if (r != 2) {
        assertThat(e)
            .hasMessageContaining("because rank 2 (127.0.0.1:")
            .hasMessageContaining("This failure here is secondary");
      }
    }
  }

  /** Whoever gives up may free what it had handed in. */
  @ParameterizedTest
  @EnumSource(Way.class)
  void nothingIsTouchedAfterAnAbortOrAnInterruptedWait(Way way) throws Exception {
    for (boolean aborts : new boolean[] {true, false}) {
      List<Future<Object>> outcomes =
          way.outcomes(
              3,
              Ranks.TIMEOUTS,
              collective -> {
                if (collective.rank() == 0) {
                  List<Work> pending = new ArrayList<>();
                  for (int i = 0; i < 20; i++) {
                    pending.add(collective.allReduce(floats(i, 300_000), ElementType.FLOAT32));
                  }
                  if (aborts) {
                    collective.abort(new IllegalStateException("the wind has turned"));
                  } else {
                    Thread.currentThread().interrupt();
                    assertThatThrownBy(pending.get(19)::await)
                        .hasMessageContaining("because the thread was interrupted");
                    assertThat(Thread.interrupted()).isTrue();
                  }
                  assertThat(pending).allMatch(Work::isDone);
                }
                while (true) {
                  collective.allReduce(floats(1, 300_000), ElementType.FLOAT32).await();
                }
              });
      for (Future<Object> outcome : outcomes) {
        assertThat(failure(outcome))
            .hasMessageContaining(aborts ? "the wind has turned" : "the thread was interrupted");
      }
    }
  }

  /**
   * Memory that is gone when an operation reads it: an Error, not an exception. Where code is
   * compiled by now, the JVM throws it later, anywhere on the thread.
   */
  @ParameterizedTest
  @EnumSource(names = {"SHARED", "MACHINES"})
  void anErrorInsideAnOperationEndsIt(Way way) throws Exception {
    List<Future<Object>> outcomes =
        way.outcomes(
            3,
            Ranks.TIMEOUTS,
            collective -> {
              Path file = Files.createTempFile(folder, "gone", "");
              ByteBuffer buffer;
              try (FileChannel channel =
                  FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
                buffer = channel.map(FileChannel.MapMode.READ_WRITE, 0, 4_000_000);
                for (int i = 0; i < 20; i++) {
                  collective.allReduce(buffer, ElementType.FLOAT32).await();
                }
                if (collective.rank() == 1) {
                  channel.truncate(0);
                }
              } finally {
                Files.delete(file);
              }
              while (true) {
                collective.allReduce(buffer, ElementType.FLOAT32).await();
              }
            });
    assertThat(failure(outcomes.get(1)))
        .hasMessageContaining("because of java.lang.InternalError")
        .hasRootCauseInstanceOf(InternalError.class);
    for (int r : new int[] {0, 2}) {
      assertThat(failure(outcomes.get(r)).isSecondary()).isTrue();
    }
  }

  @ParameterizedTest
  @EnumSource(Way.class)
  void aRankThatDoesSomethingElseIsNamed(Way way) throws Exception {
    List<Future<Object>> outcomes =
        way.outcomes(
            3,
            Ranks.TIMEOUTS,
            collective -> {
              ByteBuffer buffer = floats(1, 10 + collective.rank() / 2);
              collective.allReduce(buffer, ElementType.FLOAT32).await();
              return null;
            });
    for (Future<Object> outcome : outcomes) {
      assertThat(failure(outcome)).hasMessageContaining("does another one as its operation 1");
    }
  }

  @ParameterizedTest
  @EnumSource(Way.class)
  void aRankThatNeverComesIsNamedWhenTheStepTimeIsOver(Way way) throws Exception {
    Timeouts timeouts =
        new Timeouts(Duration.ofSeconds(20), Duration.ofSeconds(2), Duration.ofSeconds(3));
    CompletableFuture<Void> othersFailed = new CompletableFuture<>();
    List<Future<Object>> outcomes =
        way.outcomes(
            3,
            timeouts,
            collective -> {
              collective.barrier().await();
              if (collective.rank() == 0) {
                othersFailed.get(20, TimeUnit.SECONDS);
              }
              try {
                // One more may succeed: the bytes of the others are on their way already.
                while (true) {
                  collective.barrier().await();
                }
              } finally {
                othersFailed.complete(null);
              }
            });
    assertThat(failure(outcomes.get(1)))
        .hasMessageContaining("no byte moved for train.step-timeout = 3 s")
        .hasMessageContaining("It waits for rank 0 (127.0.0.1:")
        .hasMessageContaining("lives but has not come to this operation");
    assertThat(failure(outcomes.get(0))).message().containsPattern("rank [12] \\(127.0.0.1:");
    assertThat(failure(outcomes.get(2))).hasMessageContaining("rank 0 (127.0.0.1:");
  }

  @ParameterizedTest
  @EnumSource(Way.class)
  void aRankThatLeavesTooEarlyIsNamed(Way way) throws Exception {
    List<Future<Object>> outcomes =
        way.outcomes(
            3,
            Ranks.TIMEOUTS,
            collective -> {
              collective.barrier().await();
              if (collective.rank() != 1) {
                collective.barrier().await();
              }
              return null;
            });
    outcomes.get(1).get();
    assertThat(failure(outcomes.get(2)))
        .hasMessageContaining("rank 1 (127.0.0.1:")
        .hasMessageContaining("has closed its collective");
    failure(outcomes.get(0));
  }

  /** The cable of rank 1 is pulled: nobody says anything, nothing is closed. */
  @Test
  void aRankThatIsCutOffIsNamedOnEveryOther() throws Exception {
    Timeouts timeouts =
        new Timeouts(Duration.ofSeconds(20), Duration.ofSeconds(2), Duration.ofSeconds(60));
    List<Relay> relays = new ArrayList<>();
    try {
      List<Future<Object>> outcomes =
          Ranks.relayed(
              4,
              timeouts,
              Way.TCP.options(0),
              relays,
              collective -> {
                collective.barrier().await();
                if (collective.rank() == 1) {
                  relays.get(1).become(Relay.State.CUT);
                  relays.get(2).become(Relay.State.CUT);
                }
                while (true) {
                  collective.allReduce(floats(1, 1000), ElementType.FLOAT32).await();
                }
              });
      for (int r : new int[] {0, 2, 3}) {
        assertThat(failure(outcomes.get(r)))
            .hasMessageContaining("ost rank 1 (127.0.0.1:")
            .hasMessageContaining("no sign of life for 2 s")
            .hasMessageContaining("the network between is cut");
      }
      assertThat(failure(outcomes.get(3)).isSecondary()).isTrue();
      failure(outcomes.get(1));
    } finally {
      for (Relay relay : relays) {
        relay.close();
      }
    }
  }

  @Test
  void aFrameThatIsChangedOnTheWayEndsTheWork() throws Exception {
    List<Relay> relays = new ArrayList<>();
    try {
      List<Future<Object>> outcomes =
          Ranks.relayed(
              2,
              Ranks.TIMEOUTS,
              Way.ENCRYPTED.options(0),
              relays,
              collective -> {
                collective.barrier().await();
                relays.get(collective.rank()).become(Relay.State.FALSIFIES);
                while (true) {
                  collective.allReduce(floats(1, 1000), ElementType.FLOAT32).await();
                }
              });
      List<CollectiveException> failures =
          List.of(failure(outcomes.get(0)), failure(outcomes.get(1)));
      assertThat(failures)
          .anySatisfy(e -> assertThat(e.isSecondary()).isFalse())
          .anySatisfy(e -> assertThat(told(e)).contains("was not sealed by this job"));
    } finally {
      for (Relay relay : relays) {
        relay.close();
      }
    }
  }

  /** The messages of a failure and its causes. */
  private static String told(Throwable failure) {
    StringBuilder all = new StringBuilder();
    for (Throwable e = failure; e != null; e = e.getCause()) {
      all.append(e.getMessage()).append('\n');
    }
    return all.toString();
  }

  @Test
  void ncclThatCannotBeUsedIsRefusedOrLeftOut() throws Exception {
    TransportOptions required =
        new TransportOptions(TrainSettings.TransportChoice.NCCL, folder.toString(), false);
    for (Future<String> outcome :
        Ranks.outcomes(2, Ranks.TIMEOUTS, rank -> required, Collective::transport)) {
      assertThat(failure(outcome))
          .hasMessageContaining("Cannot use NCCL because rank 0 computes on the CPU.")
          .hasMessageContaining("train.transport = auto");
    }
    for (Future<String> outcome :
        Ranks.outcomes(
            2,
            Ranks.TIMEOUTS,
            rank ->
                new TransportOptions(TrainSettings.TransportChoice.NCCL, folder.toString(), true),
            Collective::transport)) {
      assertThat(failure(outcome))
          .hasMessageContaining("Cannot use train.transport = nccl because")
          .hasMessageContaining("Set train.encryption = off");
    }
    // GPUs that Spark promises, of which CUDA's libraries know nothing here.
    for (Future<String> outcome :
        onGpus(
            new TransportOptions(TrainSettings.TransportChoice.AUTO, folder.toString(), false))) {
      assertThat(outcome.get()).isEqualTo("shared-memory");
    }
    for (Future<String> outcome : onGpus(required)) {
      assertThat(failure(outcome)).message().containsPattern("because rank 0 (has no|finds)");
    }
  }

  /** The transports of two ranks that are told to use GPUs which no machine has. */
  private static List<Future<String>> onGpus(TransportOptions options) throws Exception {
    return Ranks.outcomes(
        2, Ranks.TIMEOUTS, rank -> options.withGpu(64 + rank), Collective::transport);
  }

  /** They would each be waited for longer than the ranks wait for each other. */
  @Test
  void noNumberOfSilentStrangersKeepsTheRanksApart() throws Exception {
    Timeouts timeouts =
        new Timeouts(Duration.ofSeconds(5), Duration.ofSeconds(5), Duration.ofSeconds(5));
    byte[] secret = Ranks.secret();
    List<Socket> strangers = new ArrayList<>();
    try (RingListener a = Ranks.listener();
        RingListener b = Ranks.listener()) {
      for (int i = 0; i < 33; i++) {
        strangers.add(new Socket(InetAddress.getLoopbackAddress(), a.port()));
      }
      List<Peer> peers = List.of(new Peer("127.0.0.1", a.port()), new Peer("127.0.0.1", b.port()));
      CompletableFuture<Void> other =
          CompletableFuture.runAsync(
              () ->
                  Communicator.connect(b, 1, peers, secret, timeouts, TransportOptions.AUTO)
                      .close());
      Communicator.connect(a, 0, peers, secret, timeouts, TransportOptions.AUTO).close();
      other.get(20, TimeUnit.SECONDS);
    } finally {
      for (Socket stranger : strangers) {
        stranger.close();
      }
    }
  }

  /** Rank 1 is content with TCP; rank 0 waits for what it would have to say about its memory. */
  @Test
  void anInterruptEndsTheWaitForTheOtherRanks() throws Exception {
    CompletableFuture<Thread> connecting = new CompletableFuture<>();
    byte[] secret = Ranks.secret();
    try (RingListener a = Ranks.listener();
        RingListener b = Ranks.listener()) {
      List<Peer> peers = List.of(new Peer("127.0.0.1", a.port()), new Peer("127.0.0.1", b.port()));
      CompletableFuture<Collective> zero =
          CompletableFuture.supplyAsync(
              () -> {
                connecting.complete(Thread.currentThread());
                return Communicator.connect(
                    a, 0, peers, secret, Ranks.TIMEOUTS, TransportOptions.AUTO);
              });
      Thread thread = connecting.get(20, TimeUnit.SECONDS);
      try (Collective one =
          Communicator.connect(b, 1, peers, secret, Ranks.TIMEOUTS, Way.TCP.options(1))) {
        long deadline = System.nanoTime() + Duration.ofSeconds(20).toNanos();
        while (Arrays.stream(thread.getStackTrace())
            .noneMatch(frame -> frame.getClassName().equals(TcpRing.class.getName()))) {
          assertThat(System.nanoTime()).isLessThan(deadline);
        }
        thread.interrupt();
        assertThatThrownBy(() -> zero.get(10, TimeUnit.SECONDS))
            .hasMessageContaining("the wait for the other ranks was interrupted");
        assertThatThrownBy(one.barrier()::await)
            .hasMessageContaining("the wait for the other ranks was interrupted");
      }
    }
  }

  @Test
  void strangersAreDroppedAndTheRingStandsAllTheSame() throws Exception {
    byte[] secret = Ranks.secret();
    try (LogLines log = new LogLines(DROPPED_CONNECTIONS);
        RingListener a = Ranks.listener();
        RingListener b = Ranks.listener();
        Socket silent = new Socket(InetAddress.getLoopbackAddress(), a.port());
        Socket babbling = new Socket(InetAddress.getLoopbackAddress(), b.port());
        Socket guessing = new Socket(InetAddress.getLoopbackAddress(), b.port())) {
      babbling
          .getOutputStream()
          .write(
              "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: someone who is curious\r\n\r\n"
                  .repeat(3)
                  .getBytes(StandardCharsets.US_ASCII));
      List<Peer> peers = List.of(new Peer("127.0.0.1", a.port()), new Peer("127.0.0.1", b.port()));
      CompletableFuture<Void> leave;
      Handshake stranger = new Handshake(Ranks.secret(), 2);
      CompletableFuture<Void> guess =
          CompletableFuture.runAsync(
              () ->
                  assertThatThrownBy(
                          () ->
                              stranger.call(
                                  guessing,
                                  new Handshake.Caller(0, Handshake.Purpose.DATA),
                                  1,
                                  Duration.ofSeconds(20)))
                      .hasMessageContaining("closed the connection"));
      CompletableFuture<Collective> other =
          CompletableFuture.supplyAsync(
              () ->
                  Communicator.connect(b, 1, peers, secret, Ranks.TIMEOUTS, TransportOptions.AUTO));
      try (Collective zero =
              Communicator.connect(a, 0, peers, secret, Ranks.TIMEOUTS, TransportOptions.AUTO);
          Collective one = other.get(20, TimeUnit.SECONDS)) {
        Work there = one.barrier();
        zero.barrier().await();
        there.await();
        guess.get(20, TimeUnit.SECONDS);
        InputStream answer = babbling.getInputStream();
        babbling.setSoTimeout(20_000);
        assertThat(answer.readNBytes(32)).hasSize(32);
        assertThat(endOf(answer)).isTrue();
        // Each waits for the other's goodbye.
        leave = CompletableFuture.runAsync(one::close);
      }
      leave.get(20, TimeUnit.SECONDS);
      assertThat(silent.getInputStream().readNBytes(32)).hasSize(32);
      // One line at once for the first, one for the other when the port is closed.
      awaitDropped(log, 2);
      assertThat(log.lines())
          .hasSize(2)
          .allMatch(line -> line.startsWith("Rank 1 dropped 1 connection(s), the last one from /"));
      for (Socket dropped : List.of(babbling, guessing)) {
        assertThat(log.lines())
            .anyMatch(line -> line.contains("from /127.0.0.1:" + dropped.getLocalPort() + ": 1"));
      }
    }
  }

  /** Whoever reaches the port must not be able to fill the log. */
  @Test
  void strangersAreCountedAndToldInFewLines() throws Exception {
    int strangers = 200;
    byte[] request = "GET / HTTP/1.1\r\n".repeat(8).getBytes(StandardCharsets.US_ASCII);
    try (LogLines log = new LogLines(DROPPED_CONNECTIONS)) {
      long begin = System.nanoTime();
      try (RingListener listener = Ranks.listener()) {
        var unused = listener.accept(new Handshake(Ranks.secret(), 2), 0, false);
        for (int i = 0; i < strangers; i++) {
          try (Socket stranger = new Socket(InetAddress.getLoopbackAddress(), listener.port())) {
            stranger.setSoTimeout(20_000);
            stranger.getOutputStream().write(request);
            assertThat(stranger.getInputStream().readNBytes(32)).hasSize(32);
            assertThat(endOf(stranger.getInputStream())).isTrue();
          }
        }
      }
      awaitDropped(log, strangers);
      long minutes = Duration.ofNanos(System.nanoTime() - begin).toMinutes();
      assertThat(dropped(log)).isEqualTo(strangers);
      assertThat(log.lines()).hasSizeLessThanOrEqualTo((int) (2 + minutes));
      assertThat(log.lines().get(log.lines().size() - 1))
          .contains(" because it does not speak this protocol. Let only the ranks of this job");
    }
  }

  /** How many connections the lines tell of. */
  private static int dropped(LogLines log) {
    return log.lines().stream()
        .map(DROPPED::matcher)
        .mapToInt(line -> line.find() ? Integer.parseInt(line.group(1)) : 0)
        .sum();
  }

  /** Until so many are told of: the last line comes from a thread of its own. */
  private static void awaitDropped(LogLines log, int count) {
    long deadline = System.nanoTime() + Duration.ofSeconds(20).toNanos();
    while (dropped(log) < count && System.nanoTime() < deadline) {
      Thread.onSpinWait();
    }
  }

  /** After the nonce nothing comes: the end, or a reset, since the babble was not read. */
  private static boolean endOf(InputStream answer) {
    try {
      return answer.read() < 0;
    } catch (java.io.IOException e) {
      return true;
    }
  }

  @Test
  void aRankWithAnotherSecretIsRefused() throws Exception {
    Timeouts timeouts =
        new Timeouts(Duration.ofSeconds(2), Duration.ofSeconds(5), Duration.ofSeconds(5));
    try (RingListener a = Ranks.listener();
        RingListener b = Ranks.listener()) {
      List<Peer> peers = List.of(new Peer("127.0.0.1", a.port()), new Peer("127.0.0.1", b.port()));
      CompletableFuture<Collective> other =
          CompletableFuture.supplyAsync(
              () ->
                  Communicator.connect(
                      b, 1, peers, Ranks.secret(), timeouts, TransportOptions.AUTO));
      assertThatThrownBy(
              () ->
                  Communicator.connect(
                      a, 0, peers, Ranks.secret(), timeouts, TransportOptions.AUTO))
          .isInstanceOf(CollectiveException.class)
          .hasMessageContaining("Cannot connect rank 0 to rank 1 (127.0.0.1:" + b.port() + ")")
          .hasMessageContaining("secrets differ");
      assertThatThrownBy(() -> other.get(20, TimeUnit.SECONDS))
          .hasCauseInstanceOf(CollectiveException.class);
    }
  }

  @Test
  void anAbsentRankIsNamedWhenTheRendezvousIsOver() throws Exception {
    Timeouts timeouts =
        new Timeouts(Duration.ofSeconds(1), Duration.ofSeconds(5), Duration.ofSeconds(5));
    try (RingListener a = Ranks.listener();
        RingListener silent = Ranks.listener()) {
      List<Peer> peers =
          List.of(new Peer("127.0.0.1", a.port()), new Peer("127.0.0.1", silent.port()));
      assertThatThrownBy(
              () ->
                  Communicator.connect(
                      a, 0, peers, Ranks.secret(), timeouts, TransportOptions.AUTO))
          .hasMessageContaining("Cannot connect rank 0 to rank 1 (127.0.0.1:" + silent.port());
    }
  }

  @Test
  void portsAreTriedUpwards() throws Exception {
    InetAddress local = InetAddress.getLoopbackAddress();
    try (RingListener first = RingListener.open(local, 0);
        RingListener second = RingListener.open(local, first.port())) {
      assertThat(second.port()).isBetween(first.port() + 1, first.port() + RingListener.PORTS - 1);
    }
  }

  @Test
  void aRangeWithoutFreePortIsRefused() throws Exception {
    InetAddress local = InetAddress.getLoopbackAddress();
    RingListener last = null;
    try {
      last = RingListener.open(local, 65_535);
    } catch (IOException e) {
      // Somebody has it: as well.
    }
    try {
      assertThatThrownBy(() -> RingListener.open(local, 65_535))
          .hasMessageContaining("no port from 65535 to 65535 can be used")
          .hasMessageContaining("Set train.port");
    } finally {
      if (last != null) {
        last.close();
      }
    }
  }

  /** Linux answers on all of 127.0.0.0/8, so that another address of this machine is at hand. */
  @Test
  void onlyTheBoundAddressListens() throws Exception {
    try (RingListener listener = Ranks.listener()) {
      new Socket(InetAddress.getLoopbackAddress(), listener.port()).close();
      InetAddress other = InetAddress.getByAddress(new byte[] {127, 0, 0, 2});
      assertThatThrownBy(() -> new Socket(other, listener.port()).close())
          .isInstanceOf(ConnectException.class);
    }
  }

  @Test
  void aShortSecretIsRefused() {
    assertThatThrownBy(() -> new Handshake(new byte[16], 2))
        .hasMessage(
            "Cannot authenticate ranks because the secret has 16 bytes. It needs 32 random bytes.");
  }

  private static CollectiveException failure(Future<?> outcome) throws InterruptedException {
    try {
      outcome.get();
    } catch (ExecutionException e) {
      assertThat(e.getCause()).isInstanceOf(CollectiveException.class);
      return (CollectiveException) e.getCause();
    }
    throw new AssertionError("The rank did not fail.");
  }
}
