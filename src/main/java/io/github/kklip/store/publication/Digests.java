package io.github.kklip.store.publication;

import static io.github.kklip.config.Message.message;

import java.io.IOException;
import java.io.InputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/** Names that say the content of their file: {@code NAME-DIGEST.END}. */
public final class Digests {
  /** Of SHA-256, so that no two files of a dataset share a name by chance. */
  static final int BYTES = 16;

  private static final Pattern NAME = Pattern.compile(".*-([0-9a-f]{32})\\.\\w+");

  private Digests() {}

  /** The digest of content: the first 128 bits of its SHA-256 as 32 hexadecimal digits. */
  public static String of(byte[] content) {
    return hex(sha256().digest(content));
  }

  /** {@code NAME-DIGEST.END} for {@code NAME.END}. */
  public static String name(String name, String digest) {
    int end = name.lastIndexOf('.');
    return name.substring(0, end) + "-" + digest + name.substring(end);
  }

  /** Whether a file has the content that its name says. */
  public static boolean isInName(Configuration configuration, Path file) throws IOException {
    Matcher name = NAME.matcher(file.getName());
    if (!name.matches()) {
      return false;
    }
    MessageDigest digest = sha256();
    byte[] piece = new byte[1 << 16];
    try (InputStream in = Storage.of(configuration, file).open(file)) {
      for (int read = in.read(piece); read >= 0; read = in.read(piece)) {
        digest.update(piece, 0, read);
      }
    }
    return hex(digest.digest()).equals(name.group(1));
  }

  /**
   * The content of a small file whose name says it; of one whose name says nothing, as those of
   * format 1, whatever it holds.
   *
   * @throws IOException when the content is another
   */
  public static byte[] read(Configuration configuration, Path file) throws IOException {
    byte[] content;
    try (InputStream in = Storage.of(configuration, file).open(file)) {
      content = in.readAllBytes();
    }
    Matcher name = NAME.matcher(file.getName());
    if (name.matches() && !of(content).equals(name.group(1))) {
      throw new IOException(
          message(
              "Cannot read %s because its content is not what its name says: its digest is %s. It is damaged: bring it back from a copy.",
              file, of(content)));
    }
    return content;
  }

  /** The first 128 bits as 32 hexadecimal digits. */
  public static String hex(byte[] digest) {
    return HexFormat.of().formatHex(digest, 0, BYTES);
  }

  /** A new SHA-256. */
  public static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("Every Java platform has SHA-256", e);
    }
  }
}
