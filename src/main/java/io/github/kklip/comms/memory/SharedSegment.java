package io.github.kklip.comms.memory;

import static io.github.kklip.config.Message.message;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Set;

/**
 * A file in memory that a rank offers to the others: its first bytes are a nonce that only who sees
 * the same file can read. It is written in full before anybody maps it, so that a full file system
 * is an exception here and not a signal later.
 */
final class SharedSegment implements AutoCloseable {
  static final int NONCE_BYTES = 32;
  static final int NAME_BYTES = 64;
  private static final int BLOCK = 1 << 16;
  private static final String PREFIX = "kklip-";
  private static final SecureRandom RANDOM = new SecureRandom();

  private final Path path;
  private final byte[] nonce;

  private SharedSegment(Path path, byte[] nonce) {
    this.path = path;
    this.nonce = nonce;
  }

  /** Makes a segment of zeros, but for its nonce, that only this user can read. */
  static SharedSegment create(Path folder, int bytes) throws IOException {
    byte[] name = new byte[(NAME_BYTES - PREFIX.length()) / 2];
    byte[] nonce = new byte[NONCE_BYTES];
    RANDOM.nextBytes(name);
    RANDOM.nextBytes(nonce);
    Path path = folder.resolve(PREFIX + HexFormat.of().formatHex(name));
    try (FileChannel file =
        FileChannel.open(
            path,
            Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE),
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")))) {
      ByteBuffer zeros = ByteBuffer.allocate(BLOCK);
      for (int at = 0; at < bytes; ) {
        at += file.write(zeros.clear().limit(Math.min(BLOCK, bytes - at)), at);
      }
      ByteBuffer proof = ByteBuffer.wrap(nonce);
      while (proof.hasRemaining()) {
        file.write(proof, proof.position());
      }
    } catch (IOException | UnsupportedOperationException e) {
      Files.deleteIfExists(path);
      throw new IOException(
          message(
              "Cannot make %s bytes of shared memory in %s because of %s.",
              bytes, folder, e.getMessage()),
          e);
    }
    return new SharedSegment(path, nonce);
  }

  String name() {
    return path.getFileName().toString();
  }

  /** Whether these are the bytes that the segment begins with. */
  boolean isProof(byte[] read) {
    return Arrays.equals(read, nonce);
  }

  /** The first bytes of another rank's segment; zeros when this rank does not see it. */
  static byte[] read(Path folder, String name) {
    byte[] found = new byte[NONCE_BYTES];
    if (isName(name)) {
      try (var in = Files.newInputStream(folder.resolve(name))) {
        return Arrays.copyOf(in.readNBytes(NONCE_BYTES), NONCE_BYTES);
      } catch (IOException e) {
        return found; // On another machine, or not for this user.
      }
    }
    return found;
  }

  static ByteBuffer map(Path folder, String name, int bytes) throws IOException {
    try (FileChannel file =
        FileChannel.open(folder.resolve(name), StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      if (file.size() != bytes) {
        throw new IOException(message("%s has %s bytes instead of %s", name, file.size(), bytes));
      }
      return file.map(FileChannel.MapMode.READ_WRITE, 0, bytes).order(ByteOrder.nativeOrder());
    }
  }

  private static boolean isName(String name) {
    return name.matches(PREFIX + "[0-9a-f]{" + (NAME_BYTES - PREFIX.length()) / 2 * 2 + "}");
  }

  /** Removes the file; the memory lives as long as somebody has it mapped. */
  @Override
  public void close() throws IOException {
    Files.deleteIfExists(path);
  }
}
