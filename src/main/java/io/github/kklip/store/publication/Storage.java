package io.github.kklip.store.publication;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.SettingsException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocalFileSystem;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;
import org.apache.hadoop.fs.UnsupportedFileSystemException;

/** The file system under a path, and what kind it is. */
public final class Storage {
  /** Schemes whose rename is a copy, and whose files appear whole when their upload completes. */
  private static final Set<String> OBJECT_STORES =
      Set.of("s3a", "s3", "s3n", "gs", "oss", "cosn", "obs", "wasb", "wasbs");

  /** {@code scheme://name:password@}; a container name before the host has no colon. */
  private static final Pattern PASSWORD = Pattern.compile("^([^/:]+://)[^/@]*:[^/]*@");

  private Storage() {}

  /**
   * The file system of a path. The local one comes without Hadoop's checksum files: Parquet pages
   * and checkpoints carry their own checksums, and a file replaced by another program would look
   * damaged. All of its failures are an {@link IOException}.
   *
   * @throws SettingsException when this process would change the local path's characters
   */
  public static FileSystem of(Configuration configuration, Path path) throws IOException {
    FileSystem fileSystem = path.getFileSystem(configuration);
    if (fileSystem instanceof LocalFileSystem local) {
      NameEncoding.requireWritable(path.toString());
      return new LocalFiles(local.getRawFileSystem());
    }
    return fileSystem;
  }

  /**
   * The absolute form of a path that a person wrote.
   *
   * @throws SettingsException when it holds a password, as paths go into logs and manifests, or its
   *     file system is not on the class path
   */
  public static Path path(String text, Configuration configuration) {
    Matcher password = PASSWORD.matcher(text);
    if (password.find()) {
      throw new SettingsException(
          message(
              "Cannot use the path %s because a password stands before its host. Give credentials by the settings of the file system, such as spark.hadoop.fs.s3a.secret.key, or by the environment.",
              password.replaceFirst("$1")));
    }
    try {
      Path path = new Path(text);
      return path.getFileSystem(configuration).makeQualified(path);
    } catch (UnsupportedFileSystemException e) {
      throw new SettingsException(
          message(
              "Cannot use the path %s because no file system on the class path has its scheme. Give a local path, hdfs:// or s3a://, or put the file system's jar on the class path.",
              text),
          e);
    } catch (IOException | IllegalArgumentException e) {
      throw new IllegalArgumentException(
          message("Cannot use the path %s because of %s.", text, e.getMessage()), e);
    } catch (RuntimeException e) {
      if (e.getCause() instanceof ClassNotFoundException missing) {
        throw new SettingsException(
            message(
                "Cannot use the path %s because its file system is not on the class path: %s. For s3a:// submit with KKLIP_S3=true, or add the jar kklip-s3 by --jars.",
                text, missing.getMessage()),
            e);
      }
      throw e;
    }
  }

  /** All files of a folder at any depth. */
  public static List<FileStatus> files(Configuration configuration, Path folder)
      throws IOException {
    FileSystem fileSystem = of(configuration, folder);
    List<FileStatus> files = new ArrayList<>();
    if (isLocal(configuration, folder)) {
      // Hadoop's own walk starts a process for each local file, to ask for its permissions.
      for (FileStatus status : fileSystem.listStatus(folder)) {
        if (status.isDirectory()) {
          files.addAll(files(configuration, status.getPath()));
        } else {
          files.add(status);
        }
      }
      return files;
    }
    // In one listing where there are no real folders.
    RemoteIterator<LocatedFileStatus> listed = fileSystem.listFiles(folder, true);
    while (listed.hasNext()) {
      files.add(listed.next());
    }
    return files;
  }

  /**
   * Copies, and stops at the first byte beyond {@code most}, which it does not write.
   *
   * @return the number of bytes; more than {@code most} when there are more
   */
  public static long copy(InputStream in, OutputStream out, long most) throws IOException {
    byte[] buffer = new byte[1 << 16];
    long copied = 0;
    int read = in.read(buffer);
    while (read >= 0) {
      if (copied + read > most) {
        return most + 1;
      }
      out.write(buffer, 0, read);
      copied += read;
      read = in.read(buffer);
    }
    return copied;
  }

  /** Whether a path is on the disks of this machine. */
  public static boolean isLocal(Configuration configuration, Path path) throws IOException {
    return scheme(configuration, path).equals("file");
  }

  /** Whether a path is in an object store, which has no real folders. */
  public static boolean isObjectStore(Configuration configuration, Path path) throws IOException {
    return OBJECT_STORES.contains(scheme(configuration, path));
  }

  static String scheme(Configuration configuration, Path path) throws IOException {
    return path.getFileSystem(configuration).getUri().getScheme().toLowerCase(Locale.ROOT);
  }
}
