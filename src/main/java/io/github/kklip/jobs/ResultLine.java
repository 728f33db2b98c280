package io.github.kklip.jobs;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.SettingsException;
import io.github.kklip.store.publication.Publication;
import io.github.kklip.store.publication.Storage;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;

/**
 * Where a job's end is told, once: as the line {@code RESULT {json}} on standard output, and in the
 * file of {@code --result}, which nobody sees half written or of an earlier run.
 */
final class ResultLine {
  private final PrintStream out;
  private final PrintStream err;
  private final Optional<UserFile> file;

  /** Settings of Spark, for the file system of a file that is somewhere else. */
  private final Map<String, String> spark;

  private final long start = System.nanoTime();
  private final AtomicBoolean told = new AtomicBoolean();

  /** Whether the job was refused because of the file. */
  private volatile boolean refused;

  ResultLine(PrintStream out, PrintStream err, Optional<UserFile> file, Map<String, String> spark) {
    this.out = out;
    this.err = err;
    this.file = file;
    this.spark = spark;
  }

  /** Removes what an earlier run left in the file. */
  void begin() {
    if (file.isEmpty()) {
      return;
    }
    refused = true;
    Optional<Path> local = file.get().local();
    try {
      if (local.isPresent()) {
        begin(local.get());
      } else {
        Configuration configuration = SparkSessions.hadoop(spark);
        org.apache.hadoop.fs.Path path = file.get().remote(configuration);
        FileSystem files = Storage.of(configuration, path);
        if (files.exists(path)) {
          refuseFolder(files.getFileStatus(path).isDirectory());
          files.delete(path, false);
        }
      }
      refused = false;
    } catch (IOException e) {
      throw new SettingsException(
          message("Cannot use --result %s because of %s.", file.get(), e.toString()), e);
    }
  }

  private void begin(Path path) throws IOException {
    Path folder = path.toAbsolutePath().getParent();
    if (folder == null || !Files.isDirectory(folder)) {
      throw new SettingsException(
          message("Cannot use --result %s because there is no folder %s.", path, folder));
    }
    refuseFolder(Files.isDirectory(path));
    Files.deleteIfExists(path);
  }

  private void refuseFolder(boolean isFolder) {
    if (isFolder) {
      throw new SettingsException(
          message("Cannot use --result %s because it is a folder.", file.get()));
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
    } catch (IOException | RuntimeException e) {
      err.println(
          message(
              "Cannot write the result to %s because of %s.", file.orElseThrow(), e.toString()));
      return Status.FAILED.exit();
    }
  }

  private void write(String text) throws IOException {
    if (file.isEmpty() || refused) {
      return;
    }
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    Optional<Path> local = file.get().local();
    if (local.isPresent()) {
      write(local.get().toAbsolutePath(), bytes);
    } else {
      Configuration configuration = SparkSessions.hadoop(spark);
      write(configuration, file.get().remote(configuration), bytes);
    }
  }

  /**
   * By the file system alone, as some that clusters have know no rename that replaces; an object
   * store shows a file when it is whole.
   */
  private static void write(
      Configuration configuration, org.apache.hadoop.fs.Path target, byte[] bytes)
      throws IOException {
    FileSystem files = Storage.of(configuration, target);
    boolean objects = Storage.isObjectStore(configuration, target);
    org.apache.hadoop.fs.Path path =
        objects
            ? target
            : new org.apache.hadoop.fs.Path(target.getParent(), unfinished(target.getName()));
    try {
      try (OutputStream out = files.create(path, true)) {
        out.write(bytes);
      }
      if (!objects) {
        files.delete(target, false);
        if (!files.rename(path, target)) {
          throw new IOException(message("%s cannot be renamed to it", path));
        }
      }
    } finally {
      if (!objects) {
        files.delete(path, false);
      }
    }
  }

  private static String unfinished(String name) {
    return "." + name + "." + UUID.randomUUID() + Publication.SUFFIX;
  }

  private static void write(Path target, byte[] bytes) throws IOException {
    if (Files.isDirectory(target) || !Files.isDirectory(target.getParent())) {
      return; // The job was refused for it.
    }
    Path unfinished = target.resolveSibling(unfinished(target.getFileName().toString()));
    try {
      Files.write(unfinished, bytes);
      Files.move(
          unfinished, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } finally {
      Files.deleteIfExists(unfinished);
    }
  }
}
