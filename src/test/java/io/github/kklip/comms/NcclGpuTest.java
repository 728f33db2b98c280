package io.github.kklip.comms;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.comms.nccl.Nccl;
import io.github.kklip.comms.transport.CollectiveException;
import io.github.kklip.comms.transport.Liveness;
import io.github.kklip.comms.transport.Operation;
import io.github.kklip.comms.transport.Transport;
import io.github.kklip.config.ElementType;
import io.github.kklip.tensor.TestDevice;
import io.github.kklip.tensor.Torch;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** NCCL on the GPU of {@link TestDevice}. */
@Tag("gpu")
class NcclGpuTest {
  private static final int ELEMENTS = 1 << 20;

  private static int gpu;

  /** A host transport and a liveness of a rank that is alone. */
  private static final class Alone implements Transport, Liveness {
    private long operations;

    @Override
    public String name() {
      return "alone";
    }

    @Override
    public void run(long number, Operation operation) {
      operations++;
    }

    @Override
    public void wake() {}

    @Override
    public void close() {}

    @Override
    public void check() {}

    @Override
    public Duration patience() {
      return Ranks.TIMEOUTS.step();
    }

    @Override
    public CollectiveException stuck(Operation operation, int peer, boolean hasNotCome) {
      throw new AssertionError("stuck in " + operation.description());
    }

    @Override
    public CollectiveException lost(Operation operation, int peer, IOException cause) {
      throw new AssertionError(cause);
    }

    @Override
    public CollectiveException differs(Operation operation, int peer) {
      throw new AssertionError(operation.description());
    }

    @Override
    public boolean isBehind(int peer) {
      return false;
    }

    @Override
    public boolean hasLeft(int peer) {
      return false;
    }
  }

  @BeforeAll
  static void start() {
    Torch.start(1);
    gpu = TestDevice.get().getDeviceId();
  }

  /** NCCL begins after what libtorch has put into its stream, and libtorch goes on after NCCL. */
  @Test
  void operationsOfOneRankKeepTheOrderOfTheStream() throws Exception {
    Map<ElementType, ElementType> types = new EnumMap<>(ElementType.class);
    types.put(ElementType.FLOAT32, ElementType.FLOAT32);
    types.put(ElementType.FLOAT64, ElementType.FLOAT64);
    types.put(ElementType.BFLOAT16, ElementType.BFLOAT16);
    Alone alone = new Alone();
    try (NDManager manager = TestDevice.manager();
        Transport nccl = Nccl.over(alone, 0, 1, gpu, alone, Duration.ofMinutes(1), true)) {
      assertThat(nccl.name()).isEqualTo("nccl");
      assertThat(nccl.takesDeviceMemory()).isTrue();
      long agreement = alone.operations;
      long number = 0;
      for (Map.Entry<ElementType, ElementType> type : types.entrySet()) {
        NDArray x = Torch.zeros(manager, new Shape(ELEMENTS), type.getValue());
        ByteBuffer memory = Torch.deviceMemory(x, type.getValue());
        for (Operation operation :
            List.of(
                Operation.allReduce(memory, type.getKey(), 1),
                Operation.reduceScatter(memory, type.getKey(), 1, ELEMENTS),
                Operation.allGather(memory, type.getKey(), 1, ELEMENTS),
                Operation.broadcast(memory, 0, 1))) {
          Torch.fill(x, (double) ++number);
          nccl.run(number, operation);
          assertThat(Torch.floats(x)).as(operation.description()).containsOnly((float) number);
        }
      }
      assertThat(alone.operations).isEqualTo(agreement);
      nccl.run(++number, Operation.barrier(1));
      nccl.run(++number, Operation.allReduce(ByteBuffer.allocateDirect(8), ElementType.FLOAT32, 1));
      assertThat(alone.operations).as("operations of the host").isEqualTo(agreement + 2);
    }
  }

  /** NCCL wants a device for each rank; a job refuses such a placement before (RankTask). */
  @Test
  void twoRanksOnOneDeviceAreAnErrorOnBoth() throws Exception {
    List<Future<String>> outcomes =
        Ranks.outcomes(
            2, Ranks.TIMEOUTS, rank -> TransportOptions.AUTO.withGpu(gpu), Collective::transport);
    for (Future<String> outcome : outcomes) {
      assertThatThrownBy(outcome::get)
          .hasCauseInstanceOf(CollectiveException.class)
          .hasMessageContaining("Cannot join the ranks by NCCL");
    }
  }
}
