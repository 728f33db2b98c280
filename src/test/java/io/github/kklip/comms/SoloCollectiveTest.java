package io.github.kklip.comms;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.comms.transport.CollectiveException;
import io.github.kklip.comms.transport.RankShards;
import io.github.kklip.config.ElementType;
import java.nio.ByteBuffer;
import org.junit.jupiter.api.Test;

class SoloCollectiveTest {
  @Test
  void everySumIsItsOwn() {
    try (Collective solo = new SoloCollective()) {
      ByteBuffer buffer = ByteBuffer.allocateDirect(8);
      buffer.putFloat(0, 3);
      solo.allReduce(buffer, ElementType.FLOAT32).await();
      solo.reduceScatter(buffer, ElementType.FLOAT32, 2).await();
      solo.allGather(buffer, ElementType.FLOAT32, 2).await();
      solo.broadcast(buffer, 0).await();
      solo.barrier().await();
      assertThat(buffer.getFloat(0)).isEqualTo(3);
      assertThat(solo.sum(1.5, -2)).containsExactly(1.5, -2);
    }
  }

  @Test
  void wrongCountsAndRootsAreRefused() {
    try (Collective solo = new SoloCollective()) {
      ByteBuffer buffer = ByteBuffer.allocateDirect(8);
      assertThatThrownBy(() -> solo.allGather(buffer, ElementType.FLOAT32, 3))
          .hasMessage(
              "Cannot cut a buffer of 8 bytes because the counts [3] of FLOAT32 need 12 bytes.");
      assertThatThrownBy(() -> solo.allGather(buffer, ElementType.FLOAT32, 1, 1))
          .hasMessage("Cannot cut a buffer for 1 ranks because the number of counts is 2.");
      assertThatThrownBy(() -> solo.broadcast(buffer, 1))
          .hasMessage("Cannot broadcast from rank 1 because there are 1 ranks.");
    }
  }

  @Test
  void afterAnAbortEveryOperationFails() {
    try (Collective solo = new SoloCollective()) {
      solo.abort(new IllegalStateException("full disk"));
      assertThatThrownBy(() -> solo.barrier().await())
          .isInstanceOf(CollectiveException.class)
          .hasMessageContaining("full disk");
    }
  }

  @Test
  void evenCountsDifferByOneAtMost() {
    assertThat(RankShards.evenCounts(7, 3)).containsExactly(3, 2, 2);
    assertThat(RankShards.evenCounts(1, 4)).containsExactly(1, 0, 0, 0);
    assertThat(RankShards.evenCounts(0, 2)).containsExactly(0, 0);
  }
}
