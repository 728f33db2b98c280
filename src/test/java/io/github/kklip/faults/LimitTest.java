package io.github.kklip.faults;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;

class LimitTest {
  @Test
  void whatDoesNotEndFailsWithTheStacksOfAllThreads() {
    CountDownLatch never = new CountDownLatch(1);
    Limit<Boolean> stands =
        Limit.begin(
            "the work of a test",
            () -> {
              never.await();
              return true;
            });
    assertThatThrownBy(() -> stands.within(Duration.ofMillis(1)))
        .isInstanceOf(AssertionError.class)
        .hasMessageStartingWith("the work of a test has not ended within PT0.001S. Threads:")
        .hasMessageContaining("the work of a test: ")
        .hasMessageContaining("LimitTest");
  }

  @Test
  void resultsAndFailuresAreThoseOfTheWork() throws Exception {
    assertThat(Limit.begin("work", () -> 7).within(Duration.ofMinutes(1))).isEqualTo(7);
    Limit<Integer> fails =
        Limit.begin(
            "work",
            () -> {
              throw new IOException("as it is");
            });
    assertThatThrownBy(() -> fails.within(Duration.ofMinutes(1)))
        .isInstanceOf(IOException.class)
        .hasMessage("as it is");
  }
}
