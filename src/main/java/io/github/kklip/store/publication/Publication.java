package io.github.kklip.store.publication;

import static io.github.kklip.config.Message.message;

import java.io.Closeable;
import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.StandardCopyOption;
import java.util.UUID;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileContext;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Options;
import org.apache.hadoop.fs.Path;

/**
 * Writes one file so that readers see it whole or not at all. The bytes go to {@link #path}: on a
 * file system a hidden name beside the target that no other process has, on an object store a local
 * spool file. {@link #commit} renames or uploads it, replacing what was there; {@link #close}
 * without commit removes it.
 *
 * <pre>{@code
 * try (Publication publication = Publication.of(configuration, target)) {
 *   try (OutputStream out = publication.create()) { ... }
 *   publication.commit();
 * }
 * }</pre>
 */
public final class Publication implements Closeable {
  private static final String SUFFIX = ".unfinished";

  private final Configuration configuration;
  private final Path target;
  private final Path path;

  /** Holds the spool file; null where there is none. */
  private final TemporaryFolder spool;

  private Publication(Configuration configuration, Path target, Path path, TemporaryFolder spool) {
    this.configuration = configuration;
    this.target = target;
    this.path = path;
    this.spool = spool;
  }

  /** A publication of {@code target}; makes the folder that it goes to. */
  public static Publication of(Configuration configuration, Path target) throws IOException {
    FileSystem fileSystem = Storage.of(configuration, target);
    Path qualified = fileSystem.makeQualified(target);
    String name = "." + target.getName() + "." + UUID.randomUUID() + SUFFIX;
    if (Storage.isObjectStore(configuration, target)) {
      TemporaryFolder spool = TemporaryFolder.create("spool");
      Path file = new Path(spool.path().resolve(name).toUri());
      return new Publication(configuration, qualified, file, spool);
    }
    fileSystem.mkdirs(qualified.getParent());
    return new Publication(configuration, qualified, new Path(qualified.getParent(), name), null);
  }

  /** Writes a file whole or not at all. */
  public static void write(Configuration configuration, Path target, byte[] bytes)
      throws IOException {
    try (Publication publication = of(configuration, target)) {
      try (OutputStream out = publication.create()) {
        out.write(bytes);
      }
      publication.commit();
    }
  }

  /** Where to write before {@link #commit}. */
  public Path path() {
    return path;
  }

  /** A stream to {@link #path}. */
  public FSDataOutputStream create() throws IOException {
    return Storage.of(configuration, path).create(path, true);
  }

  /** Puts the written file in its place. */
  public void commit() throws IOException {
    if (spool != null) {
      FileSystem store = Storage.of(configuration, target);
      long length = new File(path.toUri()).length();
      store.copyFromLocalFile(false, true, path, target);
      long arrived = store.getFileStatus(target).getLen();
      if (arrived != length) {
        throw new IOException(
            message(
                "Cannot publish %s because %s of %s bytes arrived. Run the job again.",
                target, arrived, length));
      }
    } else if (Storage.isLocal(configuration, target)) {
      Files.move(
          java.nio.file.Path.of(path.toUri()),
          java.nio.file.Path.of(target.toUri()),
          StandardCopyOption.ATOMIC_MOVE,
          StandardCopyOption.REPLACE_EXISTING);
    } else {
      // FileSystem.rename does not replace a file; this does, in one step on HDFS.
      FileContext.getFileContext(target.toUri(), configuration)
          .rename(path, target, Options.Rename.OVERWRITE);
    }
  }

  /** Removes what was not committed. */
  @Override
  public void close() throws IOException {
    if (spool != null) {
      spool.close();
      return;
    }
    FileSystem fileSystem = Storage.of(configuration, path);
    if (fileSystem.exists(path)) {
      fileSystem.delete(path, false);
    }
  }

  /**
   * Removes what killed processes left in a folder. Only for the holder of its lease.
   *
   * @return the number of files removed
   */
  public static int sweep(Configuration configuration, Path folder) throws IOException {
    FileSystem fileSystem = Storage.of(configuration, folder);
    if (!fileSystem.exists(folder)) {
      return 0;
    }
    int removed = 0;
    for (FileStatus status : fileSystem.listStatus(folder)) {
      String name = status.getPath().getName();
      if (status.isFile() && name.startsWith(".") && name.endsWith(SUFFIX)) {
        fileSystem.delete(status.getPath(), false);
        removed++;
      }
    }
    return removed;
  }
}
