package io.github.kklip.store.publication;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.SettingsException;
import java.io.IOException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Optional;

/**
 * How this virtual machine turns the bytes of local file names into text and back: {@code
 * sun.jnu.encoding}, which it takes from the locale of its environment. Under {@code C} or {@code
 * POSIX}, which cron and containers have, it is ASCII: a file whose name has an accent is listed
 * under a name of which there is no file, and Hadoop's listing leaves it out.
 */
public final class NameEncoding {
  private static final String PROPERTY = "sun.jnu.encoding";

  private NameEncoding() {}

  /** What is wrong with the encoding of this process, and what to set; empty when nothing is. */
  public static Optional<String> problem() {
    return isUtf8()
        ? Optional.empty()
        : Optional.of(
            message(
                "Cannot tell the names of local files apart because the locale of this process encodes them in %s (%s), and names with other characters would be left out or changed. Set LC_ALL=C.UTF-8 in the environment of the process: spark-jobs/kklip does so for the driver and its own executors; executors of a cluster get it by spark.executorEnv.LC_ALL=C.UTF-8, and a driver in YARN's cluster mode by spark.yarn.appMasterEnv.LC_ALL=C.UTF-8.",
                System.getProperty(PROPERTY), PROPERTY));
  }

  /**
   * Refuses to read files with names that other people gave.
   *
   * @throws SettingsException when this process cannot tell such names apart
   */
  public static void require() {
    problem()
        .ifPresent(
            problem -> {
              throw new SettingsException(problem);
            });
  }

  /**
   * Refuses a local path that this process would read or write under another name.
   *
   * @throws SettingsException when the encoding has not all of its characters
   */
  static void requireWritable(String path) {
    if (isUtf8() || isAscii(path)) {
      return;
    }
    if (!Charset.forName(System.getProperty(PROPERTY)).newEncoder().canEncode(path)) {
      throw new SettingsException(
          message("Cannot use the local path %s. %s", path, problem().orElseThrow()));
    }
  }

  /**
   * Refuses a local folder in which a name cannot be turned into text and back: its file would be
   * left out of every listing.
   *
   * @throws IOException that names the first one
   */
  static void requireText(Path folder) throws IOException {
    if (!Files.isDirectory(folder)) {
      return;
    }
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder)) {
      for (Path entry : entries) {
        if (!isText(entry.getFileName())) {
          throw new IOException(
              message(
                  "Cannot list the folder %s because the name of a file in it, shown as %s, is not in the encoding %s (%s). Rename it to UTF-8%s.",
                  folder,
                  entry.getFileName(),
                  System.getProperty(PROPERTY),
                  PROPERTY,
                  isUtf8() ? "" : ", or set LC_ALL=C.UTF-8 if it is"));
        }
      }
    }
  }

  /** Whether the text of a name stands for the same bytes. */
  public static boolean isText(Path name) {
    String text = name.toString();
    if (text.indexOf('\uFFFD') < 0) {
      return true;
    }
    try {
      return Path.of(text).equals(name);
    } catch (InvalidPathException e) {
      return false;
    }
  }

  /** Why a name that is no text cannot be used. */
  public static String notText() {
    return message(
        "the name of the file is not in %s, the encoding of this process (%s): rename it to UTF-8",
        System.getProperty(PROPERTY), PROPERTY);
  }

  private static boolean isUtf8() {
    return StandardCharsets.UTF_8.name().equalsIgnoreCase(System.getProperty(PROPERTY));
  }

  private static boolean isAscii(String text) {
    return text.chars().allMatch(c -> c < 0x80);
  }
}
