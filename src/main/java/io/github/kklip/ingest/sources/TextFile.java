package io.github.kklip.ingest.sources;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.IngestSettings;
import io.github.kklip.store.publication.ContentKind;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * A text file of a source: unpacked where it is gzip, and in an encoding in which each ASCII
 * character is one byte and no other character holds such a byte. A position is one in those bytes.
 *
 * @param charset of the file
 * @param read of the bytes that {@link #open} gives
 * @param begin after the byte order mark
 */
record TextFile(
    Configuration configuration,
    Path path,
    boolean gzip,
    Charset charset,
    Charset read,
    long begin,
    double maxExpansion) {
  /** Texts, and what the first line of a table may look like. */
  private static final Set<ContentKind> TEXTS =
      EnumSet.of(
          ContentKind.EMPTY,
          ContentKind.TEXT,
          ContentKind.URL,
          ContentKind.PATH,
          ContentKind.JSON,
          ContentKind.DATA_URI,
          ContentKind.BASE64_IMAGE,
          ContentKind.UTF_16_LE,
          ContentKind.UTF_16_BE,
          ContentKind.UTF_32);

  /** The file is no text; the message says what it is. */
  static final class NotTextException extends Exception {
    private static final long serialVersionUID = 1L;

    private final transient Problem problem;

    NotTextException(Problem problem) {
      super(problem.detail());
      this.problem = problem;
    }

    Problem problem() {
      return problem;
    }
  }

  /**
   * Looks at the first bytes.
   *
   * @param encoding name of a charset, or {@code auto}: by the byte order mark, or by the zeros of
   *     UTF-16, else UTF-8
   * @throws NotTextException when they are those of something else than text
   */
  static TextFile of(Configuration configuration, Path path, String encoding, IngestSettings limits)
      throws NotTextException {
    TextFile packed =
        new TextFile(
            configuration,
            path,
            false,
            StandardCharsets.UTF_8,
            StandardCharsets.UTF_8,
            0,
            limits.maxExpansion());
    byte[] head = packed.head();
    Optional<ContentKind> kind = ContentKind.of(head);
    boolean gzip = kind.equals(Optional.of(ContentKind.GZIP));
    if (gzip) {
      head = packed.with(true, StandardCharsets.UTF_8, 0).head();
      kind = ContentKind.of(head);
    }
    if (kind.isPresent() && !TEXTS.contains(kind.get())) {
      throw new NotTextException(
          new Problem(Problem.UNREADABLE, message("no text, %s", kind.get().sentence())));
    }
    Charset charset = encoding.equals("auto") ? found(kind, head) : Charset.forName(encoding);
    boolean marked =
        head.length > 2
            && (head[0] & 0xFF) == 0xEF
            && (head[1] & 0xFF) == 0xBB
            && (head[2] & 0xFF) == 0xBF;
    return packed.with(gzip, charset, marked && holdsAscii(charset) ? 3 : 0);
  }

  private TextFile with(boolean packed, Charset of, long from) {
    return new TextFile(
        configuration,
        path,
        packed,
        of,
        holdsAscii(of) ? of : StandardCharsets.UTF_8,
        from,
        maxExpansion);
  }

  private static Charset found(Optional<ContentKind> kind, byte[] head) {
    if (kind.isEmpty()) {
      return StandardCharsets.UTF_8;
    }
    return switch (kind.get()) {
      case UTF_16_LE -> StandardCharsets.UTF_16LE;
      case UTF_16_BE -> StandardCharsets.UTF_16BE;
      case UTF_32 -> Charset.forName(head[0] == 0 ? "UTF-32BE" : "UTF-32LE");
      default -> StandardCharsets.UTF_8;
    };
  }

  /** UTF-8 and the encodings of one byte a character. */
  private static boolean holdsAscii(Charset charset) {
    if (charset.equals(StandardCharsets.UTF_8)) {
      return true;
    }
    byte[] ascii = new byte[128];
    for (int i = 0; i < ascii.length; i++) {
      ascii[i] = (byte) i;
    }
    return charset.canEncode()
        && charset.newEncoder().maxBytesPerChar() == 1
        && new String(ascii, charset).equals(new String(ascii, StandardCharsets.US_ASCII));
  }

  /** Whether any place of it is as near as its first. */
  boolean isSeekable() {
    return !gzip && holdsAscii(charset);
  }

  /** Whether the name ends so, not counting {@code .gz}. */
  boolean endsWith(String ending) {
    String name = path.getName().toLowerCase(Locale.ROOT);
    return (name.endsWith(".gz") ? name.substring(0, name.length() - 3) : name).endsWith(ending);
  }

  private byte[] head() throws NotTextException {
    try {
      return start(0, ContentKind.HEAD_BYTES);
    } catch (IOException e) {
      throw new NotTextException(new Problem(Problem.UNREADABLE, detail(e)));
    }
  }

  /**
   * At most {@code count} bytes from a place on; fewer where the file ends or is damaged.
   *
   * @throws IOException when there is none that can be read
   */
  byte[] start(long from, int count) throws IOException {
    byte[] bytes = new byte[count];
    int length = 0;
    try (InputStream in = open(from)) {
      int read = 0;
      while (read >= 0 && length < count) {
        length += read;
        read = in.read(bytes, length, count - length);
      }
    } catch (IOException e) {
      if (length == 0) {
        throw e;
      }
    }
    return Arrays.copyOf(bytes, length);
  }

  static String detail(IOException e) {
    return e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
  }

  /**
   * The bytes from a place on.
   *
   * @throws IOException when the file is damaged
   * @throws RawInput.Failure when the file system fails
   */
  InputStream open(long from) throws IOException {
    RawInput raw = RawInput.openListed(configuration, path, isSeekable() ? from : 0);
    if (isSeekable()) {
      return raw;
    }
    try {
      InputStream in = gzip ? Packing.GZIP.unpacked(Packing.Counting.of(raw), maxExpansion) : raw;
      in = holdsAscii(charset) ? in : new Utf8Stream(in, charset);
      in.skipNBytes(from);
      return in;
    } catch (IOException | RuntimeException e) {
      raw.close();
      throw e;
    }
  }
}
