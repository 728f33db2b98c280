package io.github.kklip.train.checkpoint;

import static io.github.kklip.config.Message.message;

import io.github.kklip.store.publication.Durability;
import io.github.kklip.store.publication.Json;
import io.github.kklip.store.publication.Publication;
import io.github.kklip.store.publication.Storage;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.util.HexFormat;
import java.util.Optional;
import java.util.regex.Pattern;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Which run writes into a folder: 16 random hexadecimal digits, chosen at its first start and kept
 * in {@code OUTPUT/run.json}. A run that goes on is the same run. The names of its checkpoints
 * carry them, so that also one that was not written to its end tells whose it is.
 */
final class RunId {
  private static final Logger LOG = LoggerFactory.getLogger(RunId.class);

  static final String FILE = "run.json";
  static final String DIGITS = "[0-9a-f]{16}";
  private static final Pattern VALID = Pattern.compile(DIGITS);
  private static final int MOST_BYTES = 1 << 12;

  /** What the file says. */
  private record Run(String run) {
    Run {
      if (run == null || !VALID.matcher(run).matches()) {
        throw new IllegalArgumentException(message("run = %s", run));
      }
    }
  }

  /** Gives the run of the newest checkpoint, for a folder whose file is gone. */
  @FunctionalInterface
  interface Newest {
    Optional<String> run() throws IOException;
  }

  private RunId() {}

  /** The run of a folder; from now on the file says so. Only for the holder of its lease. */
  static String of(Configuration configuration, Path output, Newest newest) throws IOException {
    FileSystem fileSystem = Storage.of(configuration, output);
    Path file = new Path(output, FILE);
    byte[] bytes;
    try {
      bytes = read(fileSystem, file);
    } catch (FileNotFoundException e) {
      String run = newest.run().orElseGet(RunId::random);
      return create(configuration, fileSystem, file, run) ? run : of(configuration, output, newest);
    }
    try {
      return parse(bytes);
    } catch (IllegalArgumentException e) {
      // A start that was cut short in the midst of writing it has made no checkpoint.
      String run = newest.run().orElseGet(RunId::random);
      LOG.warn("{} is damaged and is written anew: {}", file, e.getMessage());
      Publication.write(configuration, file, Json.pretty(new Run(run)));
      return run;
    }
  }

  private static byte[] read(FileSystem fileSystem, Path file) throws IOException {
    try (InputStream in = fileSystem.open(file)) {
      return in.readNBytes(MOST_BYTES + 1);
    }
  }

  private static String parse(byte[] bytes) {
    if (bytes.length > MOST_BYTES) {
      throw new IllegalArgumentException(message("it has more than %s bytes", MOST_BYTES));
    }
    Run run = Json.parse(new String(bytes, StandardCharsets.UTF_8), Run.class);
    if (run == null) {
      throw new IllegalArgumentException("it says null");
    }
    return run.run;
  }

  private static String random() {
    byte[] bytes = new byte[8];
    new SecureRandom().nextBytes(bytes);
    return HexFormat.of().formatHex(bytes);
  }

  /** False when the file has come in between. */
  private static boolean create(
      Configuration configuration, FileSystem fileSystem, Path file, String run)
      throws IOException {
    try (FSDataOutputStream out = fileSystem.create(file, false)) {
      out.write(Json.pretty(new Run(run)));
      Durability.sync(out);
    } catch (FileAlreadyExistsException | java.nio.file.FileAlreadyExistsException e) {
      return false;
    }
    Durability.syncFolder(configuration, file.getParent());
    return true;
  }
}
