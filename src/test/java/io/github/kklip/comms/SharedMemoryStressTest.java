package io.github.kklip.comms;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.config.ElementType;
import io.github.kklip.config.TrainSettings;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Many small operations in shared memory, by ranks that come at different times, on processors that
 * have more to do than they can: the ranks' waits must neither be lost nor last as long as the time
 * slices of those that compute.
 */
class SharedMemoryStressTest {
  private static final int RANKS = 3;
  private static final int OPERATIONS = 2_000;

  @TempDir private Path folder;

  @Test
  void ranksMeetWhereOthersCompute() throws Exception {
    AtomicBoolean over = new AtomicBoolean();
    List<Thread> burners = new ArrayList<>();
    for (int i = 0; i < 2 * Runtime.getRuntime().availableProcessors(); i++) {
      burners.add(
          new Thread(
              () -> {
                while (!over.get()) {
                  Thread.onSpinWait();
                }
              }));
    }
    burners.forEach(Thread::start);
    try {
      // Bounded by the time that the ranks are given, in which yields would not come to an end.
      List<Integer> right =
          Ranks.run(
              RANKS,
              new TransportOptions(
                  TrainSettings.TransportChoice.SHARED_MEMORY, folder.toString(), false),
              SharedMemoryStressTest::sums);
      assertThat(right).containsOnly(OPERATIONS);
    } finally {
      over.set(true);
      for (Thread burner : burners) {
        burner.join();
      }
    }
  }

  /** How many sums are right. */
  private static int sums(Collective collective) {
    SplittableRandom sizes = new SplittableRandom(1);
    SplittableRandom delays = new SplittableRandom(2 + collective.rank());
    int right = 0;
    for (int i = 0; i < OPERATIONS; i++) {
      if (delays.nextInt(8) == 0) {
        LockSupport.parkNanos(delays.nextInt(1_000_000));
      }
      int count = i % 500 == 0 ? 300_000 : 1 + sizes.nextInt(2_000);
      ByteBuffer buffer =
          ByteBuffer.allocateDirect(count * Float.BYTES).order(ByteOrder.nativeOrder());
      for (int k = 0; k < count; k++) {
        buffer.putFloat(k * Float.BYTES, i + k % 10 + collective.rank());
      }
      collective.allReduce(buffer, ElementType.FLOAT32).await();
      boolean same = true;
      for (int k = 0; k < count; k++) {
        same &= buffer.getFloat(k * Float.BYTES) == RANKS * (i + k % 10) + RANKS * (RANKS - 1) / 2;
      }
      right += same ? 1 : 0;
    }
    return right;
  }
}
