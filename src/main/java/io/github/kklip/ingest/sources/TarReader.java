package io.github.kklip.ingest.sources;

import static io.github.kklip.config.Message.message;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Reads a tar archive member by member: POSIX ustar and pax, GNU long names, sizes in base 256.
 *
 * <p>An archive is hostile until shown otherwise: only as much of it is in memory as is asked for,
 * extension headers are bounded, and every number is checked. Names are names and never paths of
 * this machine.
 *
 * <p>Archives that were put together into one file are read one after the other.
 */
public final class TarReader implements Archive {
  static final int BLOCK = 512;

  /** Long names and pax records of one member: more than any real one has. */
  static final int MAX_EXTENSION = 1 << 20;

  /** Extension headers of one member, and blocks of one sparse map. */
  private static final int MAX_EXTENSIONS = 64;

  private static final int MAX_SPARSE_BLOCKS = 1 << 16;

  private static final String AFTER_THE_END = "what follows the archive's end mark is no archive";

  private final InputStream in;
  private long position;
  private long left;
  private long padding;

  /**
   * @param position of the stream in the archive: the offset of a member
   */
  public TarReader(InputStream in, long position) {
    this.in = in;
    this.position = position;
  }

  @Override
  public Entry next() throws IOException {
    skip(left + padding);
    left = 0;
    padding = 0;
    long offset = position;
    boolean ended = false;
    String longName = null;
    String longTarget = null;
    long longSize = -1;
    boolean sparse = false;
    for (int extension = 0; extension < MAX_EXTENSIONS; extension++) {
      byte[] header = block();
      if (extension == 0) {
        // What follows the end mark is nothing, or one more archive.
        while (header != null && isZero(header)) {
          ended = true;
          offset = position;
          header = blockAfterTheEnd();
        }
        if (header == null && ended) {
          return null;
        }
      }
      if (header == null || isZero(header)) {
        throw new EOFException("the archive has no end mark");
      }
      try {
        requireChecksum(header);
      } catch (IOException e) {
        throw ended ? new IOException(AFTER_THE_END, e) : e;
      }
      char type = (char) (header[156] & 0xFF);
      long size = number(header, 124, 12);
      switch (type) {
        case 'L' -> longName = text(extension(size));
        case 'K' -> longTarget = text(extension(size));
        case 'x' -> {
          Pax pax = Pax.parse(extension(size));
          longName = pax.path == null ? longName : pax.path;
          longTarget = pax.target == null ? longTarget : pax.target;
          longSize = pax.size < 0 ? longSize : pax.size;
          sparse |= pax.sparse;
        }
        case 'g', 'X' -> extension(size);
        default -> {
          boolean file = type == '0' || type == 0 || type == '7' || type == 'S';
          if (type == 'S') {
            sparse = true;
            skipSparseMap(header);
          }
          String name = longName == null ? name(header) : longName;
          // Links and folders may name a size, and have no data all the same.
          left = file || type > '7' ? longSize < 0 ? size : longSize : 0;
          padding = padding(left);
          boolean folder = name.endsWith("/");
          String target =
              longTarget == null ? text(Arrays.copyOfRange(header, 157, 257)) : longTarget;
          boolean link = type == '1' || type == '2';
          return new Entry(
              name, left, kind(type, file && !folder, sparse), offset, link ? target : "");
        }
      }
    }
    throw new IOException(message("a member has more than %s extension headers", MAX_EXTENSIONS));
  }

  private static MemberKind kind(char type, boolean file, boolean sparse) {
    if (file) {
      return sparse ? MemberKind.SPARSE : MemberKind.FILE;
    }
    return type == '1'
        ? MemberKind.HARD_LINK
        : type == '2' ? MemberKind.SYMBOLIC_LINK : MemberKind.OTHER;
  }

  @Override
  public byte[] read(long limit) throws IOException {
    if (left > limit || left > Integer.MAX_VALUE - 16) {
      return null;
    }
    byte[] bytes = in.readNBytes((int) left);
    position += bytes.length;
    if (bytes.length < left) {
      throw new EOFException("the archive ends within a member");
    }
    left = 0;
    return bytes;
  }

  private byte[] block() throws IOException {
    byte[] block = in.readNBytes(BLOCK);
    position += block.length;
    if (block.length > 0 && block.length < BLOCK) {
      throw new EOFException("the archive ends within a header");
    }
    return block.length == 0 ? null : block;
  }

  /** Some programs do not fill the last block after the end mark. */
  private byte[] blockAfterTheEnd() throws IOException {
    byte[] block = in.readNBytes(BLOCK);
    position += block.length;
    if (block.length < BLOCK && !isZero(block)) {
      throw new IOException(AFTER_THE_END);
    }
    return block.length < BLOCK ? null : block;
  }

  private byte[] extension(long size) throws IOException {
    if (size > MAX_EXTENSION) {
      throw new IOException(
          message("an extension header has %s bytes, at most %s are read", size, MAX_EXTENSION));
    }
    byte[] bytes = in.readNBytes((int) size);
    position += bytes.length;
    if (bytes.length < size) {
      throw new EOFException("the archive ends within a header");
    }
    skip(padding(size));
    return bytes;
  }

  private void skipSparseMap(byte[] header) throws IOException {
    boolean more = header[482] != 0;
    for (int i = 0; more; i++) {
      byte[] block = block();
      if (block == null || i == MAX_SPARSE_BLOCKS) {
        throw new IOException("the map of a sparse file has no end");
      }
      more = block[504] != 0;
    }
  }

  private void skip(long count) throws IOException {
    long rest = count;
    while (rest > 0) {
      long skipped = in.skip(rest);
      if (skipped <= 0) {
        if (in.read() < 0) {
          throw new EOFException("the archive ends within a member");
        }
        skipped = 1;
      }
      rest -= skipped;
      position += skipped;
    }
  }

  private static long padding(long size) {
    return (BLOCK - size % BLOCK) % BLOCK;
  }

  private static boolean isZero(byte[] block) {
    for (byte b : block) {
      if (b != 0) {
        return false;
      }
    }
    return true;
  }

  private static void requireChecksum(byte[] header) throws IOException {
    long wanted = number(header, 148, 8);
    long unsigned = 0;
    long signed = 0;
    for (int i = 0; i < BLOCK; i++) {
      byte b = i >= 148 && i < 156 ? (byte) ' ' : header[i];
      unsigned += b & 0xFF;
      signed += b;
    }
    if (wanted != unsigned && wanted != signed) {
      throw new IOException("the checksum of a member's header is wrong");
    }
  }

  /** Octal digits, or a number of 63 bits in base 256 marked by its highest bit. */
  private static long number(byte[] header, int from, int length) throws IOException {
    if ((header[from] & 0x80) != 0) {
      long value = header[from] & 0x7F;
      for (int i = from + 1; i < from + length; i++) {
        if (value >> 54 != 0) {
          throw new IOException("a number in a member's header is too large");
        }
        value = value << 8 | (header[i] & 0xFF);
      }
      return value;
    }
    long value = 0;
    boolean ended = false;
    for (int i = from; i < from + length; i++) {
      byte b = header[i];
      if (b >= '0' && b <= '7' && !ended) {
        value = value * 8 + b - '0';
      } else if (b == 0 || b == ' ') {
        ended = value > 0 || (i > from && header[i - 1] == '0');
      } else {
        throw new IOException("a number in a member's header is none");
      }
    }
    return value;
  }

  private static String name(byte[] header) {
    String name = text(Arrays.copyOfRange(header, 0, 100));
    boolean posix = new String(header, 257, 6, StandardCharsets.ISO_8859_1).equals("ustar\0");
    String prefix = posix ? text(Arrays.copyOfRange(header, 345, 500)) : "";
    return prefix.isEmpty() ? name : prefix + "/" + name;
  }

  /** Up to the first zero; a byte is a character. */
  private static String text(byte[] bytes) {
    int length = 0;
    while (length < bytes.length && bytes[length] != 0) {
      length++;
    }
    return new String(bytes, 0, length, StandardCharsets.ISO_8859_1);
  }

  /** What matters of a member's pax records, {@code length key=value\n} each. */
  private record Pax(String path, String target, long size, boolean sparse) {
    static Pax parse(byte[] bytes) throws IOException {
      String path = null;
      String target = null;
      long size = -1;
      boolean sparse = false;
      int from = 0;
      while (from < bytes.length && bytes[from] != 0) {
        int space = from;
        int length = 0;
        while (space < bytes.length
            && bytes[space] >= '0'
            && bytes[space] <= '9'
            && length < MAX_EXTENSION) {
          length = length * 10 + bytes[space++] - '0';
        }
        int end = from + length;
        if (space == bytes.length
            || bytes[space] != ' '
            || end > bytes.length
            || end <= space + 1) {
          throw new IOException("the pax records of a member are malformed");
        }
        String record = new String(bytes, space + 1, end - space - 2, StandardCharsets.ISO_8859_1);
        int equals = record.indexOf('=');
        String key = equals < 0 ? record : record.substring(0, equals);
        String value = record.substring(equals + 1);
        switch (key) {
          case "path" -> path = value;
          case "linkpath" -> target = value;
          case "size" -> size = size(value);
          default -> sparse |= key.startsWith("GNU.sparse.");
        }
        from = end;
      }
      return new Pax(path, target, size, sparse);
    }

    private static long size(String value) throws IOException {
      if (!value.matches("\\d{1,18}")) {
        throw new IOException("the size in the pax records of a member is none");
      }
      return Long.parseLong(value);
    }
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
