package io.github.kklip.jobs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EmbeddedExecutorsTest {
  private static final Duration LONG = Duration.ofDays(1);

  @TempDir private Path work;

  private void start(int number, String log) throws IOException {
    Path executor = Files.createDirectory(work.resolve(Integer.toString(number)));
    Files.writeString(executor.resolve("stderr"), log);
  }

  @Test
  void twoMayEndBeforeOneComes() throws IOException {
    AtomicInteger looks = new AtomicInteger();
    start(0, "ended");
    start(1, "ended");
    EmbeddedExecutors.await(work, LONG, millis -> looks.incrementAndGet() == 3);
    assertThat(looks).hasValue(3);
  }

  @Test
  void theLastLogThatSaysSomethingIsShown() throws IOException {
    for (int number = 0; number < 11; number++) {
      // The last process has not come further than what Spark writes before it.
      String none = "Spark Executor Command: \"java\"\n====\n";
      start(number, none + (number == 9 ? "first\n\n" + "line\n".repeat(9) + "the cause\n" : ""));
    }
    assertThatIllegalStateException()
        .isThrownBy(() -> EmbeddedExecutors.await(work, LONG, millis -> false))
        .withMessageStartingWith("Cannot start executors because 11 processes have ended before")
        .withMessageContaining("The log " + work.resolve("9/stderr") + " ends with:\nline\n")
        .withMessageEndingWith("the cause");
  }

  @Test
  void theTimeEnds() {
    assertThatIllegalStateException()
        .isThrownBy(
            () ->
                EmbeddedExecutors.await(
                    work.resolve("none"), Duration.ofSeconds(-1), millis -> false))
        .withMessageContaining("none has come within train.rendezvous-timeout = -1 s. There is no");
  }
}
