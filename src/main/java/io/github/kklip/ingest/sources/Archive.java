package io.github.kklip.ingest.sources;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/**
 * The members of an archive, one after the other; only as much of it is in memory as is asked for.
 */
public interface Archive extends Closeable {
  /** What a member is. */
  enum MemberKind {
    FILE,
    SPARSE,
    ENCRYPTED,
    HARD_LINK,
    SYMBOLIC_LINK,
    /** Folders, devices. */
    OTHER
  }

  /**
   * One member of an archive.
   *
   * @param name its bytes, each as one character (ISO 8859-1): members have the same name when the
   *     bytes are the same, whatever encoding they are in
   * @param size of its data in bytes; -1 where the archive does not say it before the data
   * @param offset of the member's first header, from the start of the archive
   * @param target the name that a link leads to, as bytes too; else empty
   */
  record Entry(String name, long size, MemberKind kind, long offset, String target) {}

  /**
   * The next member; null at the archive's end.
   *
   * @throws java.io.EOFException when the archive ends before that
   * @throws IOException when it is damaged
   */
  Entry next() throws IOException;

  /**
   * The bytes of the current member, or null when there are more than {@code limit}.
   *
   * @throws java.io.EOFException when the archive ends before them
   */
  byte[] read(long limit) throws IOException;

  /** A name as a person reads it: UTF-8 where its bytes are that, else ISO 8859-1. */
  static String shown(String name) {
    if (name.chars().allMatch(c -> c < 0x80)) {
      return name;
    }
    byte[] bytes = name.getBytes(StandardCharsets.ISO_8859_1);
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    } catch (CharacterCodingException e) {
      return name;
    }
  }
}
