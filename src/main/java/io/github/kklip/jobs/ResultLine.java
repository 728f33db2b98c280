package io.github.kklip.jobs;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.SettingsException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Where a job's end is told, once: as the line {@code RESULT {json}} on standard output, and in the
 * file of {@code --result}, which nobody sees half written or of an earlier run.
 */
final class ResultLine {
  private final PrintStream out;
  private final PrintStream err;
  private final Optional<Path> file;
  private final long start = System.nanoTime();
  private final AtomicBoolean told = new AtomicBoolean();

  ResultLine(PrintStream out, PrintStream err, Optional<Path> file) {
    this.out = out;
    this.err = err;
    this.file = file;
  }

  /** Removes what an earlier run left in the file. */
  void begin() {
    if (file.isEmpty()) {
      return;
    }
    Path folder = file.get().toAbsolutePath().getParent();
    if (folder == null || !Files.isDirectory(folder)) {
      throw new SettingsException(
          message("Cannot use --result %s because there is no folder %s.", file.get(), folder));
    }
    if (Files.isDirectory(file.get())) {
      throw new SettingsException(
          message("Cannot use --result %s because it is a folder.", file.get()));
    }
    try {
      Files.deleteIfExists(file.get());
    } catch (IOException e) {
      throw new SettingsException(
          message("Cannot use --result %s because of %s.", file.get(), e.toString()), e);
    }
  }

  /** Seconds since the beginning. */
  double seconds() {
    return Math.round((System.nanoTime() - start) / 1e6) / 1e3;
  }

  /** Lines for standard output, before the RESULT line. */
  void print(List<String> lines) {
    if (!told.get()) {
      lines.forEach(out::println);
    }
  }

  /**
   * Tells the end, unless that was done.
   *
   * @param output what stands on standard output in place of the RESULT line
   * @return the exit status
   */
  int tell(Ending ending, Optional<String> output) {
    if (!told.compareAndSet(false, true)) {
      return ending.exit();
    }
    String json = Results.line(ending);
    if (output.isPresent()) {
      out.print(output.get());
    } else {
      out.println("RESULT " + json);
    }
    out.flush();
    try {
      write(json + "\n");
      return ending.exit();
    } catch (IOException e) {
      err.println(
          message(
              "Cannot write the result to %s because of %s.", file.orElseThrow(), e.toString()));
      return Status.FAILED.exit();
    }
  }

  private void write(String text) throws IOException {
    if (file.isEmpty()
        || Files.isDirectory(file.get())
        || !Files.isDirectory(file.get().toAbsolutePath().getParent())) {
      return; // The job was refused for it.
    }
    Path target = file.get().toAbsolutePath();
    Path unfinished =
        target.resolveSibling("." + target.getFileName() + "." + UUID.randomUUID() + ".unfinished");
    try {
      Files.write(unfinished, text.getBytes(StandardCharsets.UTF_8));
      Files.move(
          unfinished, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } finally {
      Files.deleteIfExists(unfinished);
    }
  }
}
