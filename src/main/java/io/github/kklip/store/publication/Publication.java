package io.github.kklip.store.publication;

import static io.github.kklip.config.Message.message;

import java.io.Closeable;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.util.UUID;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileContext;
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
  /** How names of files end that are not in their place yet. */
  public static final String SUFFIX = ".unfinished";

  private final Configuration configuration;
  private final Path target;
  private final Path path;
  private Output output;

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
    Durability.makeFolder(configuration, qualified.getParent());
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

  /**
   * Writes a file whole or not at all under a name that says its content, as {@link
   * #commitByContent}.
   *
   * @return where it is
   */
  public static Path writeByContent(Configuration configuration, Path target, byte[] bytes)
      throws IOException {
    try (Publication publication = of(configuration, target)) {
      try (OutputStream out = publication.create()) {
        out.write(bytes);
      }
      return publication.commitByContent();
    }
  }

  /** Where to write before {@link #commit}. */
  public Path path() {
    return path;
  }

  /** A stream to {@link #path}; closing it brings the file to the disk. */
  public Output create() throws IOException {
    output = new Output(Storage.of(configuration, path).create(path, true), spool == null);
    return output;
  }

  /** The first 128 bits of the SHA-256 of what was written, as 32 hexadecimal digits. */
  public String digest() {
    if (output == null || output.digest == null) {
      throw new IllegalStateException("Nothing was written to its end.");
    }
    return output.digest;
  }

  /** Bytes on their way to {@link #path}. */
  public static final class Output extends OutputStream {
    private final FSDataOutputStream out;
    private final MessageDigest sha256 = Digests.sha256();
    private String digest;

    private final boolean synced;

    private Output(FSDataOutputStream out, boolean synced) {
      this.out = out;
      this.synced = synced;
    }

    /** Bytes written so far. */
    public long position() {
      return out.getPos();
    }

    @Override
    public void write(int value) throws IOException {
      write(new byte[] {(byte) value}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int from, int length) throws IOException {
      out.write(bytes, from, length);
      sha256.update(bytes, from, length);
    }

    @Override
    public void flush() throws IOException {
      out.flush();
    }

    @Override
    public void close() throws IOException {
      if (digest == null) {
        try (out) {
          if (synced) {
            Durability.sync(out);
          }
        }
        digest = Digests.hex(sha256.digest());
      }
    }
  }

  /**
   * Puts the written file in its place under a name that says its content: {@code NAME-DIGEST.END}
   * for the target {@code NAME.END}. Whoever writes that name writes the same bytes.
   *
   * @return where it is
   */
  public Path commitByContent() throws IOException {
    String name = target.getName();
    int end = name.lastIndexOf('.');
    Path place =
        new Path(target.getParent(), name.substring(0, end) + "-" + digest() + name.substring(end));
    commit(place);
    return place;
  }

  /** Puts the written file in its place, replacing what was there. */
  public void commit() throws IOException {
    commit(target);
  }

  private void commit(Path target) throws IOException {
    if (spool != null) {
      FileSystem store = Storage.of(configuration, target);
      long length = new File(path.toUri()).length();
      if (store.getScheme().equals("s3a")) {
        // In parts side by side, and whole or not at all.
        store.copyFromLocalFile(false, true, path, target);
      } else {
        try (InputStream in = Files.newInputStream(java.nio.file.Path.of(path.toUri()))) {
          Upload.write(in, store.create(target, true));
        }
      }
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
      Durability.syncFolder(configuration, target.getParent());
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
}
