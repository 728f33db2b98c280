package io.github.kklip.store.publication;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TemporaryFolderTest {
  @TempDir private Path parent;
  @TempDir private Path elsewhere;

  /** A process that has a temporary folder with a file in it, and waits to be killed. */
  public static final class Holder {
    private Holder() {}

    public static void main(String[] args) throws Exception {
      try (TemporaryFolder folder = TemporaryFolder.create("copy")) {
        Files.createDirectory(folder.path().resolve("deep"));
        Files.write(folder.path().resolve("deep/weights"), new byte[1000]);
        if (args.length > 0) {
          Files.createSymbolicLink(folder.path().resolve("deep/link"), Path.of(args[0]));
        }
        System.out.println(folder.path());
        System.in.read();
      }
    }
  }

  private Process hold(String... words) throws IOException {
    List<String> command =
        new java.util.ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-Djava.io.tmpdir=" + parent,
                "-cp",
                System.getProperty("java.class.path"),
                Holder.class.getName()));
    command.addAll(List.of(words));
    return new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
  }

  private static Path folder(Process holder) throws IOException {
    BufferedReader out = holder.inputReader(StandardCharsets.UTF_8);
    for (String line = out.readLine(); line != null; line = out.readLine()) {
      if (line.startsWith("/")) {
        return Path.of(line);
      }
    }
    throw new AssertionError("The process has ended without a folder.");
  }

  @Test
  void aKilledProcessesFolderIsRemovedByALaterJobAndALivingOnesIsNot() throws Exception {
    Path precious = Files.writeString(elsewhere.resolve("precious"), "x");
    Process killed = hold(elsewhere.toString());
    Process living = hold();
    try {
      Path left = folder(killed).toRealPath();
      Path used = folder(living);
      assertThat(TemporaryFolder.sweep(parent)).isEmpty();
      assertThat(left.resolve("deep/weights")).hasSize(1000);

      killed.destroyForcibly().waitFor();
      assertThat(TemporaryFolder.sweep(parent)).containsExactly(left);
      assertThat(left).doesNotExist();
      assertThat(used.resolve("deep/weights")).hasSize(1000);
      assertThat(precious).hasContent("x");

      living.getOutputStream().close();
      assertThat(living.waitFor()).isZero();
      assertThat(parent).isEmptyDirectory();
    } finally {
      killed.destroyForcibly();
      living.destroyForcibly();
    }
  }

  @Test
  void aJobSweepsBeforeItsFirstFolder() throws Exception {
    Process killed = hold();
    Path left = folder(killed);
    killed.destroyForcibly().waitFor();
    Process later = hold();
    try {
      assertThat(folder(later)).exists();
      assertThat(left).doesNotExist();
    } finally {
      later.destroyForcibly();
    }
  }

  @Test
  void whatHasNoMarkerOrIsALinkOrIsItsOwnStays() throws Exception {
    Path unmarked = Files.createDirectory(parent.resolve("kklip-copy-1"));
    Files.writeString(unmarked.resolve("file"), "x");
    Path foreign = Files.createDirectory(parent.resolve("other"));
    Files.createFile(foreign.resolve(TemporaryFolder.MARKER));
    Path behind = Files.createDirectory(elsewhere.resolve("behind"));
    Files.createFile(behind.resolve(TemporaryFolder.MARKER));
    Files.createSymbolicLink(parent.resolve("kklip-copy-2"), behind);
    Path linked = Files.createDirectory(parent.resolve("kklip-copy-3"));
    Path target = Files.createFile(elsewhere.resolve("target"));
    Files.createSymbolicLink(linked.resolve(TemporaryFolder.MARKER), target);
    Path folder = Files.createDirectory(parent.resolve("kklip-copy-4"));
    TemporaryFolder own = TemporaryFolder.mark(folder);

    assertThat(TemporaryFolder.sweep(parent)).isEmpty();
    assertThat(unmarked.resolve("file")).exists();
    assertThat(foreign.resolve(TemporaryFolder.MARKER)).exists();
    assertThat(behind.resolve(TemporaryFolder.MARKER)).exists();
    assertThat(linked).exists();
    assertThat(target).exists();
    // To another process it is still locked: the sweep has not opened and closed its marker.
    Process other = hold();
    try {
      assertThat(folder(other)).exists();
      assertThat(folder).exists();
    } finally {
      other.destroyForcibly();
    }
    own.close();
    assertThat(folder).doesNotExist();
  }
}
