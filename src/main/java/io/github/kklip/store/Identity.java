package io.github.kklip.store;

import io.github.kklip.store.publication.Digests;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.Map;
import java.util.SortedMap;

/**
 * Names by content: the first 128 bits of SHA-256 as 32 hexadecimal digits. Among n different
 * inputs two share a name with probability n^2 / 2^129, for 10^10 rows 1.5 10^-19.
 */
public final class Identity {
  private Identity() {}

  /** The id of an image: of its encoded bytes. */
  public static String ofImage(byte[] image) {
    MessageDigest digest = sha256();
    digest.update(image);
    return hex(digest);
  }

  /** The id of a row: of the image's id and the caption. */
  public static String ofPair(String imageId, String caption) {
    MessageDigest digest = sha256();
    digest.update(imageId.getBytes(StandardCharsets.US_ASCII));
    digest.update(caption.getBytes(StandardCharsets.UTF_8));
    return hex(digest);
  }

  /** The id of a further copy of a row, from 1: a source may have a weight. */
  public static String ofCopy(String pairId, int copy) {
    MessageDigest digest = sha256();
    digest.update((pairId + "#" + copy).getBytes(StandardCharsets.US_ASCII));
    return hex(digest);
  }

  /** The digest of named settings; their order in the map does not matter. */
  public static String ofSettings(SortedMap<String, String> settings) {
    MessageDigest digest = sha256();
    for (Map.Entry<String, String> entry : settings.entrySet()) {
      updateWithLength(digest, entry.getKey());
      updateWithLength(digest, entry.getValue());
    }
    return hex(digest);
  }

  /** SHA-256 of bytes, whole: 64 hexadecimal digits. */
  public static String ofBytes(byte[] bytes) {
    return HexFormat.of().formatHex(sha256().digest(bytes));
  }

  /** The same of all that a stream has. */
  public static String ofBytes(InputStream in) throws IOException {
    MessageDigest digest = sha256();
    byte[] piece = new byte[1 << 16];
    for (int read = in.read(piece); read >= 0; read = in.read(piece)) {
      digest.update(piece, 0, read);
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  /** The identity of a shard: of the ids of its rows in order. */
  public static final class Rows {
    private final MessageDigest digest = sha256();

    /** Adds the next row. */
    public void add(String id) {
      digest.update(id.getBytes(StandardCharsets.US_ASCII));
    }

    /** The identity of the rows so far; begins anew. */
    public String hexAndReset() {
      return hex(digest);
    }
  }

  /** Length first, so that no two lists of texts run into the same bytes. */
  private static void updateWithLength(MessageDigest digest, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    digest.update((bytes.length + ":").getBytes(StandardCharsets.US_ASCII));
    digest.update(bytes);
  }

  private static String hex(MessageDigest digest) {
    return Digests.hex(digest.digest());
  }

  /** A new SHA-256. */
  public static MessageDigest sha256() {
    return Digests.sha256();
  }
}
