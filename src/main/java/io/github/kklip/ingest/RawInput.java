package io.github.kklip.ingest;

import io.github.kklip.store.Storage;
import java.io.FileNotFoundException;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.security.AccessControlException;

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
   * @throws OpeningException when the file is not there or may not be read
   */
  static RawInput open(Configuration configuration, Path path, long from)
      throws IOException, OpeningException {
    try {
      FSDataInputStream in = Storage.of(configuration, path).open(path);
      if (from > 0) {
        in.seek(from);
      }
      return new RawInput(in, path);
    } catch (FileNotFoundException e) {
      // A local file without permission is reported so too, in brackets after its name.
      String reason =
          Storage.of(configuration, path).exists(path) ? Problem.UNREADABLE : Problem.MISSING_FILE;
      throw new OpeningException(new Problem(reason, String.valueOf(e.getMessage())));
    } catch (AccessControlException e) {
      throw new OpeningException(new Problem(Problem.UNREADABLE, String.valueOf(e.getMessage())));
    }
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
          "Cannot read " + path + " because the file system failed: " + cause.getMessage(), cause);
    }
  }

  /** A file that is not there or may not be read. */
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
