package io.github.kklip.ingest.sources;

import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.Charset;
import java.nio.charset.CodingErrorAction;

/**
 * Text of any encoding as UTF-8, without its byte order mark. What is not of the encoding becomes a
 * byte that is not of UTF-8 either, so that the cell that holds it is rejected and no other.
 */
final class Utf8Stream extends InputStream {
  /** No character, and none that a decoder gives. */
  private static final char MALFORMED = '\uFDD0';

  private final Reader reader;
  private final char[] chars = new char[1 << 13];
  private final byte[] bytes = new byte[3 * chars.length];
  private int kept;
  private int at;
  private int limit;
  private boolean started;

  Utf8Stream(InputStream in, Charset charset) {
    this.reader =
        new InputStreamReader(
            in,
            charset
                .newDecoder()
                .onMalformedInput(CodingErrorAction.REPLACE)
                .onUnmappableCharacter(CodingErrorAction.REPLACE)
                .replaceWith(String.valueOf(MALFORMED)));
  }

  private boolean fill() throws IOException {
    while (at == limit) {
      int read = reader.read(chars, kept, chars.length - kept);
      if (read < 0) {
        return false;
      }
      encode(kept + read);
    }
    return true;
  }

  /** The second half of a pair of surrogates may come with the next characters. */
  private void encode(int count) {
    at = 0;
    limit = 0;
    int i = 0;
    if (!started) {
      started = true;
      i = chars[0] == '\uFEFF' ? 1 : 0;
    }
    while (i < count) {
      char c = chars[i];
      if (Character.isHighSurrogate(c)) {
        if (i + 1 == count) {
          break;
        }
        put(Character.toCodePoint(c, chars[i + 1]));
        i += 2;
      } else {
        put(c);
        i++;
      }
    }
    kept = count - i;
    System.arraycopy(chars, i, chars, 0, kept);
  }

  private void put(int c) {
    if (c == MALFORMED) {
      bytes[limit++] = (byte) 0xFF;
    } else if (c < 0x80) {
      bytes[limit++] = (byte) c;
    } else if (c < 0x800) {
      bytes[limit++] = (byte) (0xC0 | (c >> 6));
      bytes[limit++] = (byte) (0x80 | (c & 0x3F));
    } else {
      if (c < 0x10000) {
        bytes[limit++] = (byte) (0xE0 | (c >> 12));
      } else {
        bytes[limit++] = (byte) (0xF0 | (c >> 18));
        bytes[limit++] = (byte) (0x80 | ((c >> 12) & 0x3F));
      }
      bytes[limit++] = (byte) (0x80 | ((c >> 6) & 0x3F));
      bytes[limit++] = (byte) (0x80 | (c & 0x3F));
    }
  }

  @Override
  public int read() throws IOException {
    return fill() ? bytes[at++] & 0xFF : -1;
  }

  @Override
  public int read(byte[] into, int offset, int length) throws IOException {
    if (length == 0) {
      return 0;
    }
    if (!fill()) {
      return -1;
    }
    int count = Math.min(length, limit - at);
    System.arraycopy(bytes, at, into, offset, count);
    at += count;
    return count;
  }

  @Override
  public void close() throws IOException {
    reader.close();
  }
}
