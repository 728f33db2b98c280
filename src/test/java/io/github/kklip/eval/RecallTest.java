package io.github.kklip.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Offset.offset;

import org.junit.jupiter.api.Test;

class RecallTest {
  @Test
  void countsQueriesWhoseHitIsEarlyEnough() {
    assertThat(Recall.of(new int[] {0, 1, 4, 5, 9, 10, 99, 0}))
        .isEqualTo(new Recall(2 / 8.0, 4 / 8.0, 6 / 8.0));
  }

  @Test
  void chanceWithOneHit() {
    Recall chance = Recall.chance(new int[] {1, 1}, 20);
    assertThat(chance.r1()).isCloseTo(0.05, offset(1e-12));
    assertThat(chance.r5()).isCloseTo(0.25, offset(1e-12));
    assertThat(chance.r10()).isCloseTo(0.5, offset(1e-12));
  }

  @Test
  void chanceWithSeveralHits() {
    // 2 hits among 6: none in the first is 4/6, none in five is impossible as only 4 others exist.
    Recall chance = Recall.chance(new int[] {2}, 6);
    assertThat(chance.r1()).isCloseTo(1 / 3.0, offset(1e-12));
    assertThat(chance.r5()).isEqualTo(1);
    // Queries of 1 and of 3 hits among 12, five looked at: misses 7/12 and (9 8 7 6 5)/(12 ... 8).
    double three = 9 * 8 * 7 * 6 * 5 / (12.0 * 11 * 10 * 9 * 8);
    assertThat(Recall.chance(new int[] {1, 3}, 12).r5())
        .isCloseTo(1 - (7 / 12.0 + three) / 2, offset(1e-12));
  }

  @Test
  void withFewAnswersChanceIsCertain() {
    assertThat(Recall.chance(new int[] {1}, 4)).isEqualTo(new Recall(0.25, 1, 1));
  }
}
