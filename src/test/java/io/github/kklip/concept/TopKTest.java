package io.github.kklip.concept;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class TopKTest {
  private static final double[] RANKED = {0.5, 0.25, 0.125, 0.125};

  @Test
  void keepsTheFewestThatReachTheMass() {
    assertThat(TopK.reaching(0.4, RANKED)).isEqualTo(1);
    assertThat(TopK.reaching(0.5, RANKED)).isEqualTo(1);
    assertThat(TopK.reaching(0.51, RANKED)).isEqualTo(2);
    assertThat(TopK.reaching(0.75, RANKED)).isEqualTo(2);
    assertThat(TopK.reaching(0.8, RANKED)).isEqualTo(3);
  }

  @Test
  void keepsAllForTheWholeMass() {
    // Means of float32 probabilities may sum to a little under 1.
    assertThat(TopK.reaching(1, new double[] {0.5, 0.25, 0.2499999})).isEqualTo(3);
  }
}
