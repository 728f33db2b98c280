package io.github.kklip.store.shards;

import static io.github.kklip.config.Message.message;

import io.github.kklip.store.publication.Storage;
import java.io.EOFException;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.parquet.hadoop.util.HadoopStreams;
import org.apache.parquet.io.InputFile;
import org.apache.parquet.io.SeekableInputStream;

/**
 * The bytes of a Parquet file as its decoder reads them. The decoder throws {@link IOException}s of
 * its own for damaged content; those of the storage come as {@link StorageFailure}.
 */
final class StoredParquet implements InputFile {
  /** The storage failed, which says nothing about the content of the file. */
  static final class StorageFailure extends IOException {
    private static final long serialVersionUID = 1L;

    StorageFailure(Path path, IOException cause) {
      super(
          message("Cannot read %s because the file system failed: %s", path, cause.getMessage()),
          cause);
    }
  }

  private final FileSystem fileSystem;
  private final Path path;
  private final long length;

  /**
   * Looks for the file.
   *
   * @throws FileNotFoundException when there is none
   * @throws StorageFailure when the storage fails
   */
  StoredParquet(Configuration configuration, Path path) throws IOException {
    this.fileSystem = Storage.of(configuration, path);
    this.path = path;
    try {
      this.length = fileSystem.getFileStatus(path).getLen();
    } catch (FileNotFoundException e) {
      throw e;
    } catch (IOException e) {
      throw new StorageFailure(path, e);
    }
  }

  Path path() {
    return path;
  }

  /**
   * The first bytes, at most {@code count}.
   *
   * @throws StorageFailure when the storage fails
   */
  byte[] head(int count) throws IOException {
    try (InputStream in = fileSystem.open(path)) {
      return in.readNBytes(count);
    } catch (IOException e) {
      throw new StorageFailure(path, e);
    }
  }

  @Override
  public long getLength() {
    return length;
  }

  @Override
  public SeekableInputStream newStream() throws IOException {
    try {
      return new StoredStream(HadoopStreams.wrap(fileSystem.open(path)));
    } catch (IOException e) {
      throw new StorageFailure(path, e);
    }
  }

  private interface ReadOperation {
    int run() throws IOException;
  }

  private final class StoredStream extends SeekableInputStream {
    private final SeekableInputStream in;

    StoredStream(SeekableInputStream in) {
      this.in = in;
    }

    /**
     * @param end of the bytes that the operation needs: damaged content may ask for some that are
     *     not there
     */
    private int guard(long end, ReadOperation operation) throws IOException {
      try {
        return operation.run();
      } catch (EOFException e) {
        if (end < 0 || end > length) {
          throw e;
        }
        throw new StorageFailure(path, e);
      } catch (IOException e) {
        throw new StorageFailure(path, e);
      }
    }

    /** Less than asked for may come, but something where the file has more. */
    private int some(ReadOperation operation) throws IOException {
      int read = guard(0, operation);
      if (read < 0 && getPos() < length) {
        throw new StorageFailure(
            path, new EOFException(message("it ended at byte %s of %s", getPos(), length)));
      }
      return read;
    }

    @Override
    public long getPos() throws IOException {
      return in.getPos();
    }

    @Override
    public void seek(long position) throws IOException {
      guard(
          position,
          () -> {
            in.seek(position);
            return 0;
          });
    }

    @Override
    public int read() throws IOException {
      return some(in::read);
    }

    @Override
    public int read(byte[] bytes, int offset, int count) throws IOException {
      return some(() -> in.read(bytes, offset, count));
    }

    @Override
    public int read(ByteBuffer buffer) throws IOException {
      return some(() -> in.read(buffer));
    }

    @Override
    public void readFully(byte[] bytes) throws IOException {
      readFully(bytes, 0, bytes.length);
    }

    @Override
    public void readFully(byte[] bytes, int offset, int count) throws IOException {
      guard(
          getPos() + count,
          () -> {
            in.readFully(bytes, offset, count);
            return count;
          });
    }

    @Override
    public void readFully(ByteBuffer buffer) throws IOException {
      guard(
          getPos() + buffer.remaining(),
          () -> {
            in.readFully(buffer);
            return 0;
          });
    }

    @Override
    public void close() throws IOException {
      in.close();
    }
  }
}
