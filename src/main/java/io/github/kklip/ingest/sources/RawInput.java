package io.github.kklip.ingest.sources;

import static io.github.kklip.config.Message.message;

import io.github.kklip.store.publication.Storage;
import java.io.FileNotFoundException;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * A file of a source. A failure of the file system comes as {@link Failure}, so that the decoders
 * above, whose {@link IOException}s mean damaged data, do not take a broken connection for a broken
 * archive.
 */
final class RawInput extends FilterInputStream {
  private final Path path;

  private RawInput(InputStream in, Path path) {
    super(in);
    this.path = path;
  }

  /**
   * Opens a file that a source names, which may name what is not there.
   *
   * @throws OpeningException when there is no such file, or a folder in its place
   * @throws Failure when the file system fails, also when it does not give the file to be read
   */
  static RawInput open(Configuration configuration, Path path, long from) throws OpeningException {
    try {
      FileSystem fileSystem = Storage.of(configuration, path);
      try {
        return at(fileSystem.open(path), path, from);
      } catch (FileNotFoundException e) {
        // A local file without permission is reported so too, in brackets after its name.
        throw notThere(fileSystem, path, e);
      }
    } catch (IOException e) {
      throw new Failure(path, e);
    }
  }

  /**
   * Opens a file that was listed, so that it has to be there.
   *
   * @throws Failure when it cannot be opened
   */
  static RawInput openListed(Configuration configuration, Path path, long from) {
    try {
      return open(configuration, path, from);
    } catch (OpeningException e) {
      throw new Failure(path, new FileNotFoundException(e.problem().detail()));
    }
  }

  private static RawInput at(FSDataInputStream in, Path path, long from) throws IOException {
    if (from > 0) {
      try {
        in.seek(from);
      } catch (IOException e) {
        in.close();
        throw e;
      }
    }
    return new RawInput(in, path);
  }

  private static OpeningException notThere(
      FileSystem fileSystem, Path path, FileNotFoundException cause) throws IOException {
    String detail = String.valueOf(cause.getMessage());
    FileStatus status;
    try {
      status = fileSystem.getFileStatus(path);
    } catch (FileNotFoundException e) {
      return new OpeningException(new Problem(Problem.MISSING_FILE, detail));
    }
    if (status.isDirectory()) {
      return new OpeningException(new Problem(Problem.UNREADABLE, detail));
    }
    throw cause;
  }

  @Override
  public int read() {
    try {
      return super.read();
    } catch (IOException e) {
      throw new Failure(path, e);
    }
  }

  @Override
  public int read(byte[] bytes, int offset, int length) {
    try {
      return super.read(bytes, offset, length);
    } catch (IOException e) {
      throw new Failure(path, e);
    }
  }

  @Override
  public long skip(long count) {
    try {
      return super.skip(count);
    } catch (IOException e) {
      throw new Failure(path, e);
    }
  }

  /** The file system failed, which says nothing about the data: the task is tried again. */
  static final class Failure extends UncheckedIOException {
    private static final long serialVersionUID = 1L;

    Failure(Path path, IOException cause) {
      super(
          message("Cannot read %s because the file system failed: %s", path, cause.getMessage()),
          cause);
    }
  }

  /** A file that is not there, or is a folder. */
  static final class OpeningException extends Exception {
    private static final long serialVersionUID = 1L;

    private final transient Problem problem;

    OpeningException(Problem problem) {
      super(problem.detail());
      this.problem = problem;
    }

    Problem problem() {
      return problem;
    }
  }
}
