package io.github.kklip.check;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.SettingsException;
import io.github.kklip.store.publication.Storage;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.file.Files;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.permission.FsAction;

/** Whether a job can write where it is to write. Nothing is made: the nearest folder tells. */
final class Outputs {
  private Outputs() {}

  /**
   * Refuses a folder that cannot be made or written to: one of its parents is a file, or the
   * nearest that is there is closed to this user. An object store has no parents; there the folder
   * alone is asked for, which tells whether the bucket can be read.
   */
  static void requireWritable(String key, String value, Configuration configuration)
      throws IOException {
    Path path = Storage.path(value, configuration);
    FileSystem fileSystem = Storage.of(configuration, path);
    boolean folders = !Storage.isObjectStore(configuration, path);
    for (Path at = path; at != null; at = folders ? at.getParent() : null) {
      try {
        if (fileSystem.getFileStatus(at).isFile()) {
          throw new SettingsException(
              message(
                  "Cannot write to %s = %s because %s is a file. Set %s to a folder.",
                  key, value, at, key));
        }
      } catch (FileNotFoundException e) {
        continue;
      }
      if (folders && !isWritable(fileSystem, at, configuration)) {
        throw new SettingsException(
            message(
                "Cannot write to %s = %s because this user (%s) has no right to write into %s. Set %s to another folder, or change the rights.",
                key, value, System.getProperty("user.name"), at, key));
      }
      return;
    }
  }

  private static boolean isWritable(FileSystem fileSystem, Path path, Configuration configuration)
      throws IOException {
    if (Storage.isLocal(configuration, path)) {
      // Hadoop's local file system would start a process to learn the rights.
      return Files.isWritable(java.nio.file.Path.of(path.toUri().getPath()));
    }
    try {
      fileSystem.access(path, FsAction.WRITE);
      return true;
    } catch (org.apache.hadoop.security.AccessControlException e) {
      return false;
    }
  }

  /** Refuses a file that could not be written at the job's end. */
  static void requireResultFile(java.nio.file.Path file) {
    java.nio.file.Path folder = file.toAbsolutePath().getParent();
    String why =
        Files.isDirectory(file)
            ? "it is a folder"
            : folder == null || !Files.isDirectory(folder)
                ? message("there is no folder %s", folder)
                : !Files.isWritable(Files.exists(file) ? file : folder)
                    ? message("this user (%s) has no right to", System.getProperty("user.name"))
                    : "";
    if (!why.isEmpty()) {
      throw new SettingsException(
          message(
              "Cannot write the result to --result %s because %s. Give a file in a folder that is there.",
              file, why));
    }
  }
}
