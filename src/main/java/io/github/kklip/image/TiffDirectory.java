package io.github.kklip.image;

import static io.github.kklip.config.Message.message;
import static io.github.kklip.image.ImageRejectedException.TRUNCATED;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * The first directory of a TIFF or BigTIFF file, of which an EXIF block is one. Reading past the
 * end throws {@link IndexOutOfBoundsException}.
 *
 * @param first position of the first entry
 */
record TiffDirectory(ByteBuffer file, boolean big, long entries, int first) {
  private static final int ORIENTATION = 0x0112;
  private static final int STRIP_OFFSETS = 0x0111;
  private static final int STRIP_BYTES = 0x0117;
  private static final int TILE_OFFSETS = 0x0144;
  private static final int TILE_BYTES = 0x0145;
  private static final int ABSENT = -1;

  static boolean isBig(byte[] bytes) {
    return bytes[2] == '+' || bytes[3] == '+';
  }

  static TiffDirectory first(byte[] bytes) {
    ByteBuffer file = ByteBuffer.wrap(bytes);
    file.order(file.get(0) == 'I' ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN);
    boolean big = isBig(bytes);
    int start = big ? checked(file.getLong(8)) : file.getInt(4);
    return big
        ? new TiffDirectory(file, true, file.getLong(start), start + 8)
        : new TiffDirectory(file, false, file.getShort(start) & 0xffff, start + 2);
  }

  /** 1 to 8; 1 when it is absent or nonsense. */
  int orientation() {
    int entry = entry(ORIENTATION);
    long value = entry == ABSENT ? 1 : value(entry, 0);
    return value >= 1 && value <= 8 ? (int) value : 1;
  }

  /** Readers fill missing strips with whatever; so every strip and tile must be in the file. */
  void refuseTruncated() throws ImageRejectedException {
    refuseTruncated(entry(STRIP_OFFSETS), entry(STRIP_BYTES));
    refuseTruncated(entry(TILE_OFFSETS), entry(TILE_BYTES));
  }

  private void refuseTruncated(int offsets, int sizes) throws ImageRejectedException {
    if (offsets == ABSENT || sizes == ABSENT) {
      return;
    }
    long count = Math.min(count(offsets), count(sizes));
    for (int i = 0; i < count; i++) {
      long end = value(offsets, i) + value(sizes, i);
      if (end > file.capacity()) {
        throw new ImageRejectedException(
            TRUNCATED,
            "strip %d ends at byte %d, and the file has %d".formatted(i, end, file.capacity()));
      }
    }
  }

  private int entry(int tag) {
    int size = big ? 20 : 12;
    for (int i = 0; i < entries; i++) {
      int entry = checked(first + (long) i * size);
      if ((file.getShort(entry) & 0xffff) == tag) {
        return entry;
      }
    }
    return ABSENT;
  }

  private long count(int entry) {
    return big ? file.getLong(entry + 4) : file.getInt(entry + 4) & 0xffff_ffffL;
  }

  /** Number i of an entry; values that do not fit into the entry lie where it points. */
  private long value(int entry, int i) {
    int size =
        switch (file.getShort(entry + 2)) {
          case 1, 2, 6, 7 -> 1;
          case 3, 8 -> 2;
          case 16, 17, 18 -> 8;
          default -> 4;
        };
    int inside = entry + (big ? 12 : 8);
    long start =
        count(entry) * size <= (big ? 8 : 4)
            ? inside
            : big ? file.getLong(inside) : file.getInt(inside) & 0xffff_ffffL;
    int at = checked(start + (long) i * size);
    return switch (size) {
      case 1 -> file.get(at) & 0xff;
      case 2 -> file.getShort(at) & 0xffff;
      case 8 -> file.getLong(at);
      default -> file.getInt(at) & 0xffff_ffffL;
    };
  }

  private static int checked(long position) {
    if (position < 0 || position > Integer.MAX_VALUE) {
      throw new IndexOutOfBoundsException(message("Cannot read a TIFF file at byte %s.", position));
    }
    return (int) position;
  }
}
