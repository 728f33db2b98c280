package io.github.kklip.jobs;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

class StopSignalTest {
  /** A job whose own thread ends the process, as Spark does. */
  static final class Exits {
    public static void main(String[] words) throws Exception {
      try (StopSignal stop =
          new StopSignal(
              () -> OptionalInt.of(143),
              caller -> {
                System.out.println("told of " + caller);
                return OptionalInt.of(1);
              })) {
        stop.check();
        System.exit(53);
      }
    }
  }

  @Test
  void aLibraryThatEndsTheProcessIsNamedAtOnce() throws Exception {
    List<String> command =
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-cp",
            System.getProperty("java.class.path"),
            Exits.class.getName());
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(said).contains("told of " + Exits.class.getName());
    assertThat(process.waitFor()).isEqualTo(1);
  }
}
