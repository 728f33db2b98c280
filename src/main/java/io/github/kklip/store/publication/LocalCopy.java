package io.github.kklip.store.publication;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.SettingsException;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.StandardOpenOption;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * Files of a folder as files of this machine, for readers that map them into memory. A local folder
 * is used as it is; of a remote one the wanted files are copied, each up to its listed size, and
 * removed again by {@link #close}.
 */
public final class LocalCopy implements Closeable {
  private static final int COPY_BYTES = 1 << 20;

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
          copy(fileSystem, status, local.resolve(fileName(remote, name).text()));
        }
      }
      return copy;
    } catch (IOException | RuntimeException e) {
      copy.close();
      throw e;
    }
  }

  private static FileName fileName(Path folder, String name) throws IOException {
    try {
      return new FileName(name);
    } catch (IllegalArgumentException e) {
      throw new IOException(
          message("Cannot copy the folder %s to this machine: %s", folder, e.getMessage()), e);
    }
  }

  /** Writes no more than was listed, whatever the file system goes on to send. */
  private static void copy(FileSystem fileSystem, FileStatus status, java.nio.file.Path file)
      throws IOException {
    long left = status.getLen();
    byte[] buffer = new byte[COPY_BYTES];
    try (InputStream in = fileSystem.open(status.getPath());
        OutputStream out = Files.newOutputStream(file, StandardOpenOption.CREATE_NEW)) {
      while (left > 0) {
        int read = in.read(buffer, 0, (int) Math.min(buffer.length, left));
        if (read < 0) {
          throw new IOException(
              message(
                  "Cannot copy %s because %s of %s bytes arrived. Run the job again.",
                  status.getPath(), status.getLen() - left, status.getLen()));
        }
        out.write(buffer, 0, read);
        left -= read;
      }
      if (in.read() >= 0) {
        throw new IOException(
            message(
                "Cannot copy %s because it has more than the %s bytes that its folder lists. It was replaced during the copy: run the job again.",
                status.getPath(), status.getLen()));
      }
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
