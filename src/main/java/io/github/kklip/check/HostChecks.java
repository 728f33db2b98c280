package io.github.kklip.check;

import static io.github.kklip.config.Message.message;

import com.sun.security.auth.module.UnixSystem;
import io.github.kklip.store.publication.NameEncoding;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.apache.spark.SparkConf;
import org.apache.spark.util.Utils;

/**
 * What every job needs of the machine that its driver is on, whatever its settings: arguments that
 * arrived as they were given, a user with a name, and temporary folders. Without these Hadoop,
 * Spark and native libraries fail with errors that do not say so, or wait without end.
 */
public final class HostChecks {
  /** What libraries unpack before a job has begun, several times over. */
  private static final int NEEDED_BYTES = 8 << 20;

  private static final Path PROCESS = Path.of("/proc/self");
  private static final Path ARGUMENTS = PROCESS.resolve("cmdline");

  private HostChecks() {}

  /**
   * Finds what is missing.
   *
   * @param spark the settings of the session that will be opened
   */
  public static List<String> of(SparkConf spark) {
    List<String> problems = new ArrayList<>();
    user(new UnixSystem().getUsername()).ifPresent(problems::add);
    temporaryFolder(Path.of(System.getProperty("java.io.tmpdir"))).ifPresent(problems::add);
    if (problems.isEmpty()) {
      localFolders(List.of(Utils.getConfiguredLocalDirs(spark))).ifPresent(problems::add);
    }
    return problems;
  }

  /**
   * @param name of the user; null when it has none
   */
  static Optional<String> user(String name) {
    if (name != null) {
      return Optional.empty();
    }
    Object id;
    try {
      // A user without a name has the id 0 in UnixSystem.
      id = Files.getAttribute(PROCESS, "unix:uid");
    } catch (IOException | RuntimeException e) {
      id = "ID";
    }
    return Optional.of(
        message(
            "Cannot run as the user %s because it has no name here, and Hadoop asks the system for one. Add the user to /etc/passwd (in a container: echo \"kklip:x:%s:0::/tmp:/bin/sh\" >> /etc/passwd in its image or start script), or run as a user that is there.",
            id, id));
  }

  /**
   * What is wrong with the arguments of this process: a virtual machine decodes them by its locale,
   * and what is lost is not seen in them.
   */
  public static Optional<String> arguments() {
    if (NameEncoding.problem().isEmpty() || !Files.isReadable(ARGUMENTS)) {
      return Optional.empty();
    }
    try {
      for (byte b : Files.readAllBytes(ARGUMENTS)) {
        if (b < 0) {
          return NameEncoding.problem();
        }
      }
    } catch (IOException e) {
      // Then there is nothing to compare with.
    }
    return Optional.empty();
  }

  /** Temporary files and the native libraries that are unpacked there. */
  static Optional<String> temporaryFolder(Path folder) {
    try {
      return canRun(folder)
          ? Optional.empty()
          : Optional.of(
              message(
                  "Cannot load native libraries from the temporary folder %s because its file system is mounted noexec. Set TMPDIR to a folder on another file system (without spark-jobs/kklip: -Djava.io.tmpdir in spark.driver.extraJavaOptions and spark.executor.extraJavaOptions).",
                  folder));
    } catch (IOException e) {
      return Optional.of(
          message(
              "Cannot use the temporary folder %s because of %s. Set TMPDIR to a folder that is there, that this user may write to, and that has room (without spark-jobs/kklip: -Djava.io.tmpdir in spark.driver.extraJavaOptions and spark.executor.extraJavaOptions).",
              folder, reason(e)));
    }
  }

  /** Spark takes those that it can use, and ends the process when there is none. */
  static Optional<String> localFolders(List<String> folders) {
    List<String> reasons = new ArrayList<>();
    for (String folder : folders) {
      try {
        boolean unused = canRun(existing(Path.of(folder).toAbsolutePath()));
        return Optional.empty();
      } catch (IOException e) {
        reasons.add(message("%s (%s)", folder, reason(e)));
      }
    }
    return Optional.of(
        message(
            "Cannot keep what Spark stores for a time because of its local folders none can be used: %s. Set SPARK_LOCAL_DIRS, or spark.local.dir where that is not set, to folders that this user may write to and that have room.",
            String.join(", ", reasons)));
  }

  /** The folder, or the nearest one above it: Spark makes what is missing. */
  private static Path existing(Path folder) {
    Path there = folder;
    while (!Files.exists(there)) {
      there = there.getParent();
    }
    return there;
  }

  /** Writes a file, and asks whether the system would run it. */
  private static boolean canRun(Path folder) throws IOException {
    Path file = Files.createTempFile(folder, "kklip-", ".check");
    try {
      Files.write(file, new byte[NEEDED_BYTES]);
      // The system answers no for any file of a file system that is mounted noexec.
      return !file.toFile().setExecutable(true) || Files.isExecutable(file);
    } finally {
      Files.delete(file);
    }
  }

  private static String reason(IOException e) {
    String reason = e instanceof FileSystemException failed ? failed.getReason() : e.getMessage();
    return reason == null ? e.toString() : reason;
  }
}
