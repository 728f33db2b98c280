package io.github.kklip.store;

import java.io.IOException;
import java.util.Locale;
import java.util.Set;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocalFileSystem;
import org.apache.hadoop.fs.Path;

/** The file system under a path, and what kind it is. */
public final class Storage {
  /** Schemes whose rename is a copy, and whose files appear whole when their upload completes. */
  private static final Set<String> OBJECT_STORES =
      Set.of("s3a", "s3", "s3n", "gs", "oss", "cosn", "obs", "wasb", "wasbs");

  private Storage() {}

  /**
   * The file system of a path. The local one comes without Hadoop's checksum files: Parquet pages
   * and checkpoints carry their own checksums, and a file replaced by another program would look
   * damaged.
   */
  public static FileSystem of(Configuration configuration, Path path) throws IOException {
    FileSystem fileSystem = path.getFileSystem(configuration);
    return fileSystem instanceof LocalFileSystem local ? local.getRawFileSystem() : fileSystem;
  }

  /** The absolute form of a path that a person wrote. */
  public static Path path(String text, Configuration configuration) {
    try {
      Path path = new Path(text);
      return path.getFileSystem(configuration).makeQualified(path);
    } catch (IOException | IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "Cannot use the path " + text + " because of " + e.getMessage() + ".", e);
    }
  }

  static boolean isLocal(Configuration configuration, Path path) throws IOException {
    return scheme(configuration, path).equals("file");
  }

  static boolean isObjectStore(Configuration configuration, Path path) throws IOException {
    return OBJECT_STORES.contains(scheme(configuration, path));
  }

  private static String scheme(Configuration configuration, Path path) throws IOException {
    return path.getFileSystem(configuration).getUri().getScheme().toLowerCase(Locale.ROOT);
  }
}
