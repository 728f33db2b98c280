package io.github.kklip.store.publication;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.SettingsException;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Files;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * Files of a folder as files of this machine, for readers that map them into memory. A local folder
 * is used as it is; of a remote one the wanted files are copied, and removed again by {@link
 * #close}.
 */
public final class LocalCopy implements Closeable {
  private final java.nio.file.Path path;
  private final boolean copied;

  private LocalCopy(java.nio.file.Path path, boolean copied) {
    this.path = path;
    this.copied = copied;
  }

  /**
   * The files of a folder.
   *
   * @param wanted the names of the files to copy
   * @throws SettingsException when there is no such folder
   * @throws IOException when it cannot be read
   */
  public static LocalCopy of(Configuration configuration, String folder, Predicate<String> wanted)
      throws IOException {
    Path remote = Storage.path(folder, configuration);
    FileSystem fileSystem = Storage.of(configuration, remote);
    if (!fileSystem.exists(remote) || !fileSystem.getFileStatus(remote).isDirectory()) {
      throw new SettingsException(
          message(
              "Cannot read the folder %s because there is no such folder. Give one that is there.",
              remote));
    }
    if (Storage.isLocal(configuration, remote)) {
      return new LocalCopy(java.nio.file.Path.of(remote.toUri().getPath()), false);
    }
    java.nio.file.Path local = Files.createTempDirectory("kklip-copy-");
    LocalCopy copy = new LocalCopy(local, true);
    try {
      for (FileStatus status : fileSystem.listStatus(remote)) {
        String name = status.getPath().getName();
        if (status.isFile() && wanted.test(name)) {
          java.nio.file.Path file = local.resolve(name);
          fileSystem.copyToLocalFile(false, status.getPath(), new Path(file.toUri()), true);
          if (Files.size(file) != status.getLen()) {
            throw new IOException(
                message(
                    "Cannot copy %s because %s of %s bytes arrived. Run the job again.",
                    status.getPath(), Files.size(file), status.getLen()));
          }
        }
      }
      return copy;
    } catch (IOException | RuntimeException e) {
      copy.close();
      throw e;
    }
  }

  /** The folder on this machine. */
  public java.nio.file.Path path() {
    return path;
  }

  /** Removes what was copied; a local folder stays. */
  @Override
  public void close() throws IOException {
    if (!copied) {
      return;
    }
    try (Stream<java.nio.file.Path> files = Files.list(path)) {
      for (java.nio.file.Path file : files.toList()) {
        Files.delete(file);
      }
    }
    Files.delete(path);
  }
}
