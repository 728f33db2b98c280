package io.github.kklip.comms;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Ranks as processes, which can be killed and stopped. */
@Timeout(value = 2, unit = TimeUnit.MINUTES, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class RingProcessTest {
  /** How the processes are connected. */
  private enum Way {
    SHARED("shared-memory"),
    TCP("tcp"),
    ENCRYPTED("tcp"),
    /** The first two ranks share memory, and so do the next two. */
    MACHINES("hierarchical [2, 2]");

    private final String transport;

    Way(String transport) {
      this.transport = transport;
    }
  }

  @TempDir private Path folder;
  private final List<Process> processes = new ArrayList<>();
  private final List<BufferedReader> outputs = new ArrayList<>();

  private void start(Way way, int ranks, int count, int rounds, int heartbeat) throws IOException {
    start(way, ranks, count, rounds, heartbeat, "");
  }

  /**
   * @param prefix what the shell does before it becomes the process
   */
  private void start(Way way, int ranks, int count, int rounds, int heartbeat, String prefix)
      throws IOException {
    for (int r = 0; r < ranks; r++) {
      Path shared = way == Way.MACHINES ? folder.resolve("machine-" + r / 2) : folder;
      Files.createDirectories(shared);
      boolean tcp = way == Way.TCP || way == Way.ENCRYPTED;
      Process process =
          new ProcessBuilder(
                  "bash",
                  "-c",
                  prefix + " exec \"$0\" \"$@\"",
                  Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                  "-Xmx128m",
                  "-XX:-UsePerfData",
                  "-XX:TieredStopAtLevel=1",
                  "-cp",
                  System.getProperty("java.class.path"),
                  RingProcess.class.getName(),
                  Integer.toString(r),
                  Integer.toString(count),
                  Integer.toString(rounds),
                  Integer.toString(heartbeat),
                  "60",
                  tcp ? "TCP" : "AUTO",
                  shared.toString(),
                  Boolean.toString(way == Way.ENCRYPTED))
              .redirectError(ProcessBuilder.Redirect.DISCARD)
              .start();
      processes.add(process);
      outputs.add(process.inputReader(StandardCharsets.UTF_8));
    }
    String secret = HexFormat.of().formatHex(Ranks.secret());
    for (Process process : processes) {
      tell(process, secret);
    }
    List<String> ports = new ArrayList<>();
    for (BufferedReader output : outputs) {
      ports.add(output.readLine());
    }
    for (Process process : processes) {
      tell(process, ports.stream().collect(Collectors.joining(" ")));
    }
  }

  private static void tell(Process process, String line) throws IOException {
    process.getOutputStream().write((line + "\n").getBytes(StandardCharsets.UTF_8));
    process.getOutputStream().flush();
  }

  private static void signal(String name, Process process) throws Exception {
    Process kill = new ProcessBuilder("kill", "-" + name, Long.toString(process.pid())).start();
    assertThat(kill.waitFor(20, TimeUnit.SECONDS)).isTrue();
    assertThat(kill.exitValue()).isZero();
  }

  @AfterEach
  void end() throws InterruptedException {
    for (Process process : processes) {
      process.destroyForcibly().waitFor();
    }
  }

  private void assertTransport(String expected) throws IOException {
    for (BufferedReader output : outputs) {
      assertThat(output.readLine()).isEqualTo(expected);
    }
    try (Stream<Path> files = Files.walk(folder)) {
      // Removed as soon as all have mapped it.
      assertThat(files.filter(Files::isRegularFile)).isEmpty();
    }
  }

  /** A limit on the size of files ends a write in the middle, as a full tmpfs does. */
  @Test
  void withoutRoomForSharedMemoryThereIsTcp() throws Exception {
    start(Way.SHARED, 2, 300_001, 3, 20, "ulimit -f 100;");
    assertTransport("tcp");
    for (BufferedReader output : outputs) {
      assertThat(output.readLine()).isEqualTo("first");
      assertThat(output.readLine()).isEqualTo("done");
    }
  }

  /** A file system in memory that both ranks share, and that is really full when it is small. */
  @ParameterizedTest
  @CsvSource({"1m, tcp", "64m, shared-memory"})
  void aFullFileSystemInMemoryLeavesTcp(String size, String transport) throws Exception {
    Process holder =
        new ProcessBuilder(
                "unshare",
                "-rUm",
                "bash",
                "-c",
                "mount -t tmpfs -o size="
                    + size
                    + " tmpfs "
                    + folder
                    + " && echo mounted && exec cat")
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    processes.add(holder);
    assumeTrue(
        "mounted".equals(holder.inputReader(StandardCharsets.UTF_8).readLine()),
        "a user may mount nothing here");
    processes.remove(holder);
    try {
      start(
          Way.SHARED,
          2,
          300_001,
          3,
          20,
          "exec nsenter -t "
              + holder.pid()
              + " -U -m --wd=. --preserve-credentials \"$0\" \"$@\";");
      assertTransport(transport);
      for (BufferedReader output : outputs) {
        assertThat(output.readLine()).isEqualTo("first");
        assertThat(output.readLine()).isEqualTo("done");
      }
    } finally {
      processes.add(holder);
    }
  }

  @ParameterizedTest
  @EnumSource
  void processesSumWhatTheyHave(Way way) throws Exception {
    start(way, 4, 300_001, 5, 20);
    assertTransport(way.transport);
    for (BufferedReader output : outputs) {
      assertThat(output.readLine()).isEqualTo("first");
      assertThat(output.readLine()).isEqualTo("done");
    }
    for (Process process : processes) {
      assertThat(process.waitFor(20, TimeUnit.SECONDS)).isTrue();
      assertThat(process.exitValue()).isZero();
    }
  }

  @ParameterizedTest
  @EnumSource
  void aKilledRankIsNamedOnEveryOther(Way way) throws Exception {
    start(way, 4, 100_000, 1_000_000, 20);
    assertTransport(way.transport);
    for (BufferedReader output : outputs) {
      assertThat(output.readLine()).isEqualTo("first");
    }
    signal("KILL", processes.get(2));
    for (int r : new int[] {0, 1, 3}) {
      assertThat(outputs.get(r).readLine()).contains("ost rank 2 (127.0.0.1:");
    }
  }

  @ParameterizedTest
  @EnumSource
  void aStoppedRankIsNamedAndCannotGoOnWhenItIsContinued(Way way) throws Exception {
    start(way, 4, 1000, 1_000_000, 2);
    assertTransport(way.transport);
    for (BufferedReader output : outputs) {
      assertThat(output.readLine()).isEqualTo("first");
    }
    signal("STOP", processes.get(1));
    for (int r : new int[] {0, 2, 3}) {
      assertThat(outputs.get(r).readLine())
          .contains("ost rank 1 (127.0.0.1:")
          .contains("no sign of life for 2 s");
    }
    signal("CONT", processes.get(1));
    assertThat(outputs.get(1).readLine()).containsPattern("primary|secondary");
  }
}
