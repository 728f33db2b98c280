package io.github.kklip.store.publication;

import static io.github.kklip.config.Message.message;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;

/** Files that are read whole into memory: only as far as such a file can be long. */
public final class SmallFile {
  private SmallFile() {}

  /**
   * All bytes of a stream, which stays open.
   *
   * @param source where it is from, for errors
   * @param most the most bytes that such a file may have
   * @throws IOException when it has more, or cannot be read
   */
  public static byte[] read(InputStream in, String source, int most) throws IOException {
    byte[] bytes = in.readNBytes(most);
    if (bytes.length == most && in.read() >= 0) {
      throw new IOException(
          message(
              "Cannot read %s because it has more than %s bytes, which is more than such a file may have. Put the right file there.",
              source, most));
    }
    return bytes;
  }

  /** As {@link #read(InputStream, String, int)}, of a file of this machine. */
  public static byte[] read(Path file, int most) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      return read(in, file.toString(), most);
    }
  }
}
