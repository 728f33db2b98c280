package io.github.kklip.faults;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.Test;

class VirtualClockTest {
  private final VirtualClock clock = new VirtualClock();
  private final List<String> turns = new ArrayList<>();

  @Test
  void whoWakesFirstRunsFirst() throws Exception {
    List<Long> ends = clock.run(List.of(sleeper("a", 30, 30), sleeper("b", 20, 50, 10)));

    assertThat(turns).containsExactly("b 20", "a 30", "a 60", "b 70", "b 80");
    assertThat(ends).containsExactly(60L, 80L);
  }

  @Test
  void tasksThatTasksStartAreWaitedFor() throws Exception {
    clock.run(
        List.of(
            () -> {
              clock.start(() -> call(sleeper("child", 100)));
              return call(sleeper("parent", 10));
            }));

    assertThat(turns).containsExactly("parent 10", "child 100");
  }

  @Test
  void failuresComeOut() {
    Callable<Long> failing =
        () -> {
          throw new IllegalStateException("no");
        };
    assertThatThrownBy(() -> clock.run(List.of(failing, sleeper("a", 10)))).hasMessage("no");
    assertThat(turns).containsExactly("a 10");
    Callable<Long> wrong =
        () -> {
          throw new AssertionError("never");
        };
    assertThatThrownBy(() -> clock.run(List.of(wrong))).hasMessage("never");
  }

  @Test
  void aThreadThatIsNoTaskMovesTheTimeOn() {
    clock.sleep(Duration.ofDays(1));
    assertThat(clock.nanos()).isEqualTo(Duration.ofDays(1).toNanos());
  }

  private Callable<Long> sleeper(String name, long... millis) {
    return () -> {
      for (long some : millis) {
        clock.sleep(Duration.ofMillis(some));
        turns.add(name + " " + clock.nanos() / 1_000_000);
      }
      return clock.nanos() / 1_000_000;
    };
  }

  private static Long call(Callable<Long> task) {
    try {
      return task.call();
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }
}
