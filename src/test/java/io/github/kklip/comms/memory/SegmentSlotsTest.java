package io.github.kklip.comms.memory;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class SegmentSlotsTest {
  private static final int MANY = 40;
  private static final int PIECES = 4_000;
  private static final int HALF = PIECES / 2;

  /** The first half is faster with few slots, as in one cache, the second with many. */
  @Test
  void theFasterWayIsTaken() {
    int[] taken = run();
    assertThat(beyondFew(taken, 0, HALF)).isPositive().isLessThan(HALF / 20);
    // The last trial before the change is an epoch of 8 in 256 rounds old at most.
    int settled = HALF + 300;
    assertThat(beyondFew(taken, settled, PIECES)).isGreaterThan((PIECES - settled) * 8 / 10);
  }

  @Test
  void noSlotIsUsedAgainTooSoon() {
    int[] last = new int[MANY];
    Arrays.fill(last, -SegmentSlots.FEW);
    int[] taken = run();
    for (int round = 0; round < PIECES; round++) {
      assertThat(round - last[taken[round]]).isGreaterThanOrEqualTo(SegmentSlots.FEW);
      last[taken[round]] = round;
    }
  }

  /** The slot of each round. */
  private static int[] run() {
    SegmentSlots slots = new SegmentSlots(ByteBuffer.allocateDirect(64), 0, MANY + 1);
    int[] taken = new int[PIECES];
    boolean many = false;
    for (int round = 0; round < PIECES; round++) {
      slots.begin(round);
      taken[round] = slots.of(round);
      many = round % 8 == 0 ? isMany(slots, round) : many;
      // Every third round is disturbed.
      slots.took((many == (round >= HALF) ? 30 : 60) + round % 3 * 100);
    }
    return taken;
  }

  /** Whether any of the next rounds takes a slot that is not one of the few. */
  private static boolean isMany(SegmentSlots slots, int round) {
    return IntStream.range(round, round + 8)
        .anyMatch(next -> slots.of(next) != next % SegmentSlots.FEW);
  }

  private static long beyondFew(int[] taken, int from, int to) {
    return Arrays.stream(taken, from, to).filter(slot -> slot >= SegmentSlots.FEW).count();
  }
}
