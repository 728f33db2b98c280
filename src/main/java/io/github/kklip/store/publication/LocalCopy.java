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
  private final java.nio.file.Path path;

  /** Null where nothing was copied. */
  private final TemporaryFolder temporary;

  private LocalCopy(java.nio.file.Path path, TemporaryFolder temporary) {
    this.path = path;
    this.temporary = temporary;
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
      return new LocalCopy(java.nio.file.Path.of(remote.toUri().getPath()), null);
    }
    TemporaryFolder temporary = TemporaryFolder.create("copy");
    try {
      for (FileStatus status : fileSystem.listStatus(remote)) {
        String name = status.getPath().getName();
        if (status.isFile() && wanted.test(name)) {
          copy(fileSystem, status, temporary.path().resolve(fileName(remote, name).text()));
        }
      }
      return new LocalCopy(temporary.path(), temporary);
    } catch (IOException | RuntimeException e) {
      temporary.close();
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
  private static void copy(FileSystem from, FileStatus listed, java.nio.file.Path to)
      throws IOException {
    long arrived;
    try (InputStream in = from.open(listed.getPath());
        OutputStream out = Files.newOutputStream(to, StandardOpenOption.CREATE_NEW)) {
      arrived = Storage.copy(in, out, listed.getLen());
    }
    if (arrived < listed.getLen()) {
      throw new IOException(
          message(
              "Cannot copy %s because %s of %s bytes arrived. Run the job again.",
              listed.getPath(), arrived, listed.getLen()));
    }
    if (arrived > listed.getLen()) {
      throw new IOException(
          message(
              "Cannot copy %s because it has more than the %s bytes that its folder lists. It was replaced during the copy: run the job again.",
              listed.getPath(), listed.getLen()));
    }
  }

  /** The folder on this machine. */
  public java.nio.file.Path path() {
    return path;
  }

  /** Removes what was copied; a local folder stays. */
  @Override
  public void close() throws IOException {
    if (temporary != null) {
      temporary.close();
    }
  }
}
