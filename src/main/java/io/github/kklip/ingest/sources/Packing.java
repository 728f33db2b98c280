package io.github.kklip.ingest.sources;

import static io.github.kklip.config.Message.message;

import java.io.BufferedInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.zip.GZIPInputStream;
import org.apache.commons.compress.compressors.bzip2.BZip2CompressorInputStream;
import org.apache.commons.compress.compressors.xz.XZCompressorInputStream;
import org.apache.commons.compress.compressors.zstandard.ZstdCompressorInputStream;

/** What an archive is packed with, by its first bytes: names tell little. */
enum Packing {
  NONE(""),
  GZIP("\u001F\u008B"),
  ZSTD("(\u00B5/\u00FD"),
  BZIP2("BZh"),
  XZ("\u00FD7zXZ\u0000"),
  ZIP("PK\u0003\u0004"),
  /** A zip archive without entries. */
  EMPTY_ZIP("PK\u0005\u0006");

  /** Unpacked bytes that are not counted: a small archive may well expand a lot. */
  private static final long FREE_BYTES = 16L << 20;

  private static final int LONGEST = 6;

  /** xz -9 needs 65 MiB; a header may ask for 4 GiB. */
  private static final int XZ_MEMORY_KIB = 256 << 10;

  private final String first;

  Packing(String first) {
    this.first = first;
  }

  /** The packing of what a stream gives next, which stays there. */
  static Packing of(Counting in) throws IOException {
    in.mark(LONGEST);
    byte[] bytes = in.readNBytes(LONGEST);
    in.reset();
    for (Packing packing : values()) {
      if (packing != NONE && packing.begins(bytes)) {
        return packing;
      }
    }
    return NONE;
  }

  private boolean begins(byte[] bytes) {
    for (int i = 0; i < first.length(); i++) {
      if (i >= bytes.length || (bytes[i] & 0xFF) != first.charAt(i)) {
        return false;
      }
    }
    // A member of a plain archive may be named BZh.
    return this != BZIP2 || (bytes.length == LONGEST && (bytes[4] == 0x31 || bytes[4] == 0x17));
  }

  /**
   * The unpacked bytes, of all streams that follow each other in {@code packed}; no more than a
   * bomb's beginning.
   *
   * @throws IOException when it is damaged
   */
  InputStream unpacked(Counting packed, double maxExpansion) throws IOException {
    InputStream in =
        switch (this) {
          case GZIP -> new GZIPInputStream(packed, 1 << 16);
          case ZSTD -> new ZstdCompressorInputStream(packed);
          case BZIP2 -> new BZip2CompressorInputStream(packed, true);
          case XZ -> new XZCompressorInputStream(packed, true, XZ_MEMORY_KIB);
          case NONE, ZIP, EMPTY_ZIP -> packed;
        };
    return in == packed
        ? in
        : new Counting(in) {
          @Override
          void check() throws IOException {
            refuseBomb(count(), packed.count(), maxExpansion);
          }
        };
  }

  static void refuseBomb(long unpacked, long packed, double maxExpansion) throws IOException {
    if (unpacked > FREE_BYTES && unpacked > maxExpansion * packed) {
      throw new IOException(
          message(
              "it expands more than %s times, the limit that ingest.max-expansion sets",
              maxExpansion));
    }
  }

  /** A stream that knows how many bytes it gave. */
  static class Counting extends FilterInputStream {
    private long count;
    private long marked;

    private Counting(InputStream in) {
      super(in);
    }

    static Counting of(InputStream raw) {
      return new Counting(new BufferedInputStream(raw, 1 << 16));
    }

    long count() {
      return count;
    }

    /** Called after every read. */
    void check() throws IOException {}

    private int add(int bytes) throws IOException {
      count += Math.max(0, bytes);
      check();
      return bytes;
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
    }

    @Override
    public int read(byte[] bytes, int offset, int length) throws IOException {
      return add(super.read(bytes, offset, length));
    }

    @Override
    public long skip(long bytes) throws IOException {
      return add((int) super.skip(Math.min(bytes, 1 << 20)));
    }

    /** Java takes a gzip file for ended when no byte is available, which streams need not know. */
    @Override
    public int available() throws IOException {
      int available = super.available();
      if (available > 0 || !markSupported()) {
        return available;
      }
      super.mark(1);
      int next = super.read();
      super.reset();
      return next < 0 ? 0 : 1;
    }

    @Override
    public synchronized void mark(int limit) {
      super.mark(limit);
      marked = count;
    }

    @Override
    public synchronized void reset() throws IOException {
      super.reset();
      count = marked;
    }
  }
}
