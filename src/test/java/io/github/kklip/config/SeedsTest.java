package io.github.kklip.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.HashSet;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class SeedsTest {
  @Test
  void splitMix64GivesThePublishedSequence() {
    // The reference sequence for seed 1234567 that accompanies the algorithm's C code.
    SplitMix64 random = new SplitMix64(1234567);
    assertThat(Long.toUnsignedString(random.nextLong())).isEqualTo("6457827717110365317");
    assertThat(Long.toUnsignedString(random.nextLong())).isEqualTo("3203168211198807973");
    assertThat(Long.toUnsignedString(random.nextLong())).isEqualTo("9817491932198370423");
  }

  @Test
  void fnvOfKnownTexts() {
    assertThat(Seeds.hash("")).isEqualTo(0xcbf29ce484222325L);
    assertThat(Seeds.hash("a")).isEqualTo(0xaf63dc4c8601ec8cL);
  }

  @Test
  void seedPurposePartsAndTheirOrderAllCount() {
    Set<Long> seeds = new HashSet<>();
    for (long seed = 0; seed < 20; seed++) {
      for (String purpose : new String[] {"order", "augment"}) {
        seeds.add(Seeds.derive(seed, purpose));
        for (long a = 0; a < 20; a++) {
          seeds.add(Seeds.derive(seed, purpose, a));
          for (long b = 0; b < 20; b++) {
            seeds.add(Seeds.derive(seed, purpose, a, b));
          }
        }
      }
    }
    assertThat(seeds).hasSize(20 * 2 * (1 + 20 + 400));
    assertThat(Seeds.derive(7, "order", 3)).isEqualTo(Seeds.derive(7, "order", 3));
  }

  @Test
  void numbersBelowABoundAreUniform() {
    SplitMix64 random = new SplitMix64(0);
    int[] counts = new int[7];
    for (int i = 0; i < 70_000; i++) {
      counts[random.nextInt(7)]++;
    }
    // Standard deviation of one count: sqrt(70000 * 1/7 * 6/7) = 93.
    assertThat(IntStream.of(counts)).allMatch(count -> Math.abs(count - 10_000) < 5 * 93);
    assertThatThrownBy(() -> random.nextInt(0))
        .hasMessage("Cannot draw a number below 0: the bound must be over 0.");
  }

  @Test
  void gaussianHasMeanZeroAndVarianceOne() {
    SplitMix64 random = new SplitMix64(5);
    double sum = 0;
    double squares = 0;
    for (int i = 0; i < 100_000; i++) {
      double x = random.nextGaussian();
      sum += x;
      squares += x * x;
    }
    assertThat(Math.abs(sum / 100_000)).isLessThan(0.016);
    assertThat(Math.abs(squares / 100_000 - 1)).isLessThan(0.023);
  }

  @Test
  void shuffleIsAPermutation() {
    int[] values = IntStream.range(0, 100).toArray();
    new SplitMix64(1).shuffle(values);
    assertThat(values).doesNotHaveDuplicates().isNotEqualTo(IntStream.range(0, 100).toArray());
  }
}
