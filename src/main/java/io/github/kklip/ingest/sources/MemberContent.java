package io.github.kklip.ingest.sources;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;

/** Bytes of files and archive members as pictures and captions. */
public final class MemberContent {
  /**
   * Extensions that are taken for images, decodable here or not, in the order of preference; others
   * are no candidates.
   */
  static final List<String> IMAGES =
      List.of(
          "jpg", "jpeg", "png", "webp", "jpe", "jfif", "mpo", "apng", "gif", "tif", "tiff", "bmp",
          "dib", "ppm", "pgm", "pbm", "pnm", "jp2", "j2k", "jpx", "jxl", "avif", "heic", "heif",
          "ico", "tga", "psd", "svg");

  private MemberContent() {}

  /** What follows the last dot, in lower case. */
  static String extension(String name) {
    return name.substring(name.lastIndexOf('.') + 1).toLowerCase(Locale.ROOT);
  }

  static Problem tooLarge(long maxBytes) {
    return new Problem(Problem.MEMBER_TOO_LARGE, "more than " + maxBytes + " bytes");
  }

  /** Reads to the end, or gives null when there are more than {@code maxBytes} bytes. */
  static byte[] read(InputStream in, long maxBytes) throws IOException {
    int limit = Math.toIntExact(Math.min(maxBytes, Integer.MAX_VALUE - 16));
    byte[] bytes = in.readNBytes(limit);
    return bytes.length == limit && in.read() >= 0 ? null : bytes;
  }

  /** The picture in a file, which is closed. */
  static Member.Picture picture(RawInput file, String name, long maxBytes) throws IOException {
    try (file) {
      byte[] bytes = read(file, maxBytes);
      return bytes == null
          ? Member.Picture.broken(name, tooLarge(maxBytes))
          : Member.Picture.of(name, bytes);
    }
  }

  /** The caption in the bytes of a text file. */
  static Member.Caption caption(String name, byte[] bytes) {
    String text = utf8(bytes);
    return text == null
        ? Member.Caption.broken(name, encodingProblem())
        : Member.Caption.of(name, text);
  }

  public static Problem encodingProblem() {
    return new Problem(Problem.CAPTION_ENCODING, "the text is not UTF-8");
  }

  /** The text without byte order mark; null when the bytes are not UTF-8. */
  static String utf8(byte[] bytes) {
    try {
      String text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
      return text.startsWith("\uFEFF") ? text.substring(1) : text;
    } catch (CharacterCodingException e) {
      return null;
    }
  }
}
