package io.github.kklip.store;

import static io.github.kklip.config.Message.message;

import io.github.kklip.store.publication.Json;
import io.github.kklip.store.publication.Storage;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;

/**
 * The manifests of a dataset: {@code _manifests/NUMBER.json}, of which the one with the largest
 * number counts.
 */
public final class ManifestFiles {
  /** Its name begins with an underscore, so that readers of Parquet folders pass it over. */
  public static final String FOLDER = "_manifests";

  private static final Pattern NAME = Pattern.compile("(\\d{9,18})\\.json");

  private static final String END = "\n}\n";
  private static final String SEAL = ",\n  \"sha256\": \"";
  private static final String SEAL_END = "\"" + END;

  private ManifestFiles() {}

  /** The folder of the manifests. */
  public static Path folder(Path root) {
    return new Path(root, FOLDER);
  }

  /** The file of one manifest. */
  public static Path file(Path root, long number) {
    return new Path(folder(root), String.format(Locale.ROOT, "%09d.json", number));
  }

  /** All manifests that are there, by number. */
  public static NavigableMap<Long, FileStatus> list(Configuration configuration, Path root)
      throws IOException {
    NavigableMap<Long, FileStatus> numbers = new TreeMap<>();
    try {
      Path folder = folder(root);
      for (FileStatus status : Storage.of(configuration, folder).listStatus(folder)) {
        var name = NAME.matcher(status.getPath().getName());
        if (status.isFile() && name.matches()) {
          numbers.put(Long.parseLong(name.group(1)), status);
        }
      }
    } catch (FileNotFoundException e) {
      // There is no dataset, or one of format 1.
    }
    return numbers;
  }

  /** The newest manifest; of a dataset of format 1 what its files say; empty when there is none. */
  static Optional<DatasetManifest> newest(Configuration configuration, Path root)
      throws IOException {
    Map.Entry<Long, FileStatus> last = list(configuration, root).lastEntry();
    return last == null
        ? Format1.read(configuration, root)
        : Optional.of(read(configuration, root, last.getKey()));
  }

  /** The number of the newest manifest; 0 when there is none. */
  public static long newestNumber(Configuration configuration, Path root) throws IOException {
    NavigableMap<Long, FileStatus> numbers = list(configuration, root);
    return numbers.isEmpty() ? 0 : numbers.lastKey();
  }

  /**
   * The manifest of any number, 0 included.
   *
   * @throws IOException when there is none, or it is damaged
   */
  public static DatasetManifest any(Configuration configuration, Path root, long number)
      throws IOException {
    return number > 0
        ? read(configuration, root, number)
        : format1(configuration, root)
            .orElseThrow(
                () -> new FileNotFoundException(message("%s has no manifest of format 1.", root)));
  }

  /** What a dataset of format 1 says, also after commits of today; empty when it was none. */
  public static Optional<DatasetManifest> format1(Configuration configuration, Path root)
      throws IOException {
    return Format1.read(configuration, root);
  }

  /**
   * The manifest of a commit.
   *
   * @throws IOException when there is none, or it is damaged
   */
  public static DatasetManifest read(Configuration configuration, Path root, long number)
      throws IOException {
    Path file = file(root, number);
    byte[] bytes;
    try (InputStream in = Storage.of(configuration, file).open(file)) {
      bytes = in.readAllBytes();
    }
    DatasetManifest manifest = unsealed(file, bytes);
    if (manifest.format() != DatasetManifest.FORMAT || manifest.number() != number) {
      throw new IOException(
          message(
              "Cannot read %s because it says that it is number %s of format %s; this version reads format %s. Use the version that wrote it.",
              file, manifest.number(), manifest.format(), DatasetManifest.FORMAT));
    }
    return manifest;
  }

  /**
   * The bytes of a manifest's file: JSON whose last field {@code sha256} is the digest of the file
   * without that field, so that not one bit of it changes unseen.
   */
  static byte[] sealed(DatasetManifest manifest) {
    byte[] plain = Json.pretty(manifest);
    String text = new String(plain, StandardCharsets.UTF_8);
    String rest = text.substring(0, text.length() - END.length());
    return (rest + SEAL + Identity.ofBytes(plain) + SEAL_END).getBytes(StandardCharsets.UTF_8);
  }

  private static DatasetManifest unsealed(Path file, byte[] bytes) throws IOException {
    String text = new String(bytes, StandardCharsets.UTF_8);
    int seal = text.lastIndexOf(SEAL);
    String plain = seal < 0 ? text : text.substring(0, seal) + END;
    byte[] whole = plain.getBytes(StandardCharsets.UTF_8);
    String expected = SEAL + Identity.ofBytes(whole) + SEAL_END;
    if (seal < 0 || !text.substring(seal).equals(expected)) {
      throw new IOException(
          message(
              "Cannot read %s because its content is not what its last field, sha256, says. It is damaged: bring it back from a copy.",
              file));
    }
    try {
      return Json.parse(plain, DatasetManifest.class);
    } catch (IllegalArgumentException e) {
      throw new IOException(
          message(
              "Cannot read %s because of its content. It was written by another version: %s",
              file, e.getMessage()),
          e);
    }
  }
}
