package io.github.kklip.ingest.sources;

import java.io.EOFException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.apache.commons.compress.archivers.zip.ZipArchiveEntry;
import org.apache.commons.compress.archivers.zip.ZipArchiveInputStream;

/**
 * Reads a zip archive entry by entry, in the order in which they lie in it: in one pass, with one
 * entry in memory, however long its directory is.
 */
final class ZipReader implements Archive {
  private static final int BUFFER = 1 << 16;

  private final Packing.Counting packed;
  private final double maxExpansion;
  private final boolean hasDirectory;
  private final ZipArchiveInputStream zip;
  private ZipArchiveEntry current;
  private long unpacked;

  /**
   * @param hasDirectory whether the file ends with a directory, as every whole archive does
   */
  ZipReader(Packing.Counting packed, double maxExpansion, boolean hasDirectory) {
    this.packed = packed;
    this.maxExpansion = maxExpansion;
    this.hasDirectory = hasDirectory;
    this.zip = new ZipArchiveInputStream(packed, StandardCharsets.ISO_8859_1.name(), false);
  }

  @Override
  public Entry next() throws IOException {
    finish();
    long offset = packed.count();
    current = zip.getNextEntry();
    if (current == null) {
      if (!hasDirectory) {
        throw new EOFException("the archive ends before its directory");
      }
      return null;
    }
    byte[] raw = current.getRawName();
    String name = raw == null ? current.getName() : new String(raw, StandardCharsets.ISO_8859_1);
    return new Entry(name, current.getSize(), kind(), offset, "");
  }

  private MemberKind kind() throws IOException {
    if (current.isDirectory()) {
      return MemberKind.OTHER;
    }
    if (current.isUnixSymlink()) {
      return MemberKind.SYMBOLIC_LINK;
    }
    return current.getGeneralPurposeBit().usesEncryption() ? MemberKind.ENCRYPTED : MemberKind.FILE;
  }

  /** An entry whose packed length is not known is unpacked to its end, which a bomb has not. */
  private void finish() throws IOException {
    if (current != null && current.getGeneralPurposeBit().usesDataDescriptor()) {
      byte[] buffer = new byte[BUFFER];
      int read;
      do {
        read = add(zip.read(buffer, 0, buffer.length));
      } while (read >= 0);
    }
  }

  private int add(int bytes) throws IOException {
    unpacked += Math.max(0, bytes);
    Packing.refuseBomb(unpacked, packed.count(), maxExpansion);
    return bytes;
  }

  @Override
  public byte[] read(long limit) throws IOException {
    if (current.getSize() > limit) {
      return null;
    }
    int most = Math.toIntExact(Math.min(limit, Integer.MAX_VALUE - 16));
    byte[] bytes = zip.readNBytes(most);
    add(bytes.length);
    return bytes.length == most && add(zip.read(new byte[1], 0, 1)) > 0 ? null : bytes;
  }

  @Override
  public void close() throws IOException {
    zip.close();
  }
}
