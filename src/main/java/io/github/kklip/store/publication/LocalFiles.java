package io.github.kklip.store.publication;

import java.io.FilterOutputStream;
import java.io.IOException;
import java.util.EnumSet;
import org.apache.hadoop.fs.CreateFlag;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FSError;
import org.apache.hadoop.fs.FSInputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.FilterFileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.StreamCapabilities;
import org.apache.hadoop.fs.Syncable;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.util.Progressable;

/**
 * The local disks, with errors as all other file systems have them. Hadoop's local streams throw
 * {@link FSError}, an {@link Error}, when a disk is full or broken, and what handles an {@link
 * IOException} is passed by.
 */
final class LocalFiles extends FilterFileSystem {
  LocalFiles(FileSystem raw) {
    super(raw);
  }

  private static IOException asException(FSError error) {
    return error.getCause() instanceof IOException cause
        ? cause
        : new IOException(error.getMessage(), error);
  }

  private static FSDataOutputStream checked(FSDataOutputStream out) throws IOException {
    return new FSDataOutputStream(new Out(out), null, out.getPos());
  }

  /** With an error for a name that Hadoop's listing leaves out, as it finds no file of it. */
  @Override
  public FileStatus[] listStatus(Path path) throws IOException {
    NameEncoding.requireText(java.nio.file.Path.of(makeQualified(path).toUri().getPath()));
    return super.listStatus(path);
  }

  @Override
  public FSDataInputStream open(Path path, int bufferSize) throws IOException {
    return new FSDataInputStream(new In(super.open(path, bufferSize)));
  }

  @Override
  public FSDataOutputStream append(Path path, int bufferSize, Progressable progress)
      throws IOException {
    return checked(super.append(path, bufferSize, progress));
  }

  @Override
  public FSDataOutputStream create(
      Path path,
      FsPermission permission,
      boolean overwrite,
      int bufferSize,
      short replication,
      long blockSize,
      Progressable progress)
      throws IOException {
    return checked(
        super.create(path, permission, overwrite, bufferSize, replication, blockSize, progress));
  }

  @Override
  public FSDataOutputStream createNonRecursive(
      Path path,
      FsPermission permission,
      EnumSet<CreateFlag> flags,
      int bufferSize,
      short replication,
      long blockSize,
      Progressable progress)
      throws IOException {
    return checked(
        super.createNonRecursive(
            path, permission, flags, bufferSize, replication, blockSize, progress));
  }

  private static final class Out extends FilterOutputStream
      implements Syncable, StreamCapabilities {
    private final FSDataOutputStream stream;

    Out(FSDataOutputStream stream) {
      super(stream);
      this.stream = stream;
    }

    /** One call that writes. */
    private interface Write {
      void run() throws IOException;
    }

    private static void checked(Write write) throws IOException {
      try {
        write.run();
      } catch (FSError e) {
        throw asException(e);
      }
    }

    @Override
    public void write(int b) throws IOException {
      checked(() -> stream.write(b));
    }

    @Override
    public void write(byte[] bytes, int from, int length) throws IOException {
      checked(() -> stream.write(bytes, from, length));
    }

    @Override
    public void flush() throws IOException {
      checked(stream::flush);
    }

    @Override
    public void hflush() throws IOException {
      checked(stream::hflush);
    }

    @Override
    public void hsync() throws IOException {
      checked(stream::hsync);
    }

    @Override
    public boolean hasCapability(String capability) {
      return stream.hasCapability(capability);
    }

    @Override
    public void close() throws IOException {
      checked(stream::close);
    }
  }

  private static final class In extends FSInputStream implements StreamCapabilities {
    private final FSDataInputStream stream;

    In(FSDataInputStream stream) {
      this.stream = stream;
    }

    @Override
    public int read() throws IOException {
      try {
        return stream.read();
      } catch (FSError e) {
        throw asException(e);
      }
    }

    @Override
    public int read(byte[] bytes, int from, int length) throws IOException {
      try {
        return stream.read(bytes, from, length);
      } catch (FSError e) {
        throw asException(e);
      }
    }

    @Override
    public int read(long position, byte[] bytes, int from, int length) throws IOException {
      try {
        return stream.read(position, bytes, from, length);
      } catch (FSError e) {
        throw asException(e);
      }
    }

    @Override
    public long skip(long bytes) throws IOException {
      return stream.skip(bytes);
    }

    @Override
    public int available() throws IOException {
      return stream.available();
    }

    @Override
    public void seek(long position) throws IOException {
      stream.seek(position);
    }

    @Override
    public long getPos() throws IOException {
      return stream.getPos();
    }

    @Override
    public boolean seekToNewSource(long position) throws IOException {
      return stream.seekToNewSource(position);
    }

    @Override
    public boolean hasCapability(String capability) {
      return stream.hasCapability(capability);
    }

    @Override
    public void close() throws IOException {
      stream.close();
    }
  }
}
