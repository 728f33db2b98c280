package io.github.kklip.comms.tcp;

import static io.github.kklip.config.Message.message;

import java.io.Closeable;
import java.io.IOException;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.security.GeneralSecurityException;
import javax.crypto.Cipher;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.SecretKeySpec;

/**
 * An authenticated connection whose reads and writes do not wait. When it is encrypted, bytes
 * travel in frames: the length of the sealed part (4 bytes), and at most {@value #FRAME} bytes
 * sealed by AES-256-GCM (16 bytes longer). Each direction has a key of its own, and the number of
 * the frame is the nonce, so that a frame that is changed, left out, repeated or sent back is an
 * error.
 */
public final class Wire implements Closeable {
  private static final int FRAME = 64 * 1024;
  private static final int TAG_BYTES = 16;

  private final SocketChannel channel;
  private final Seal outgoing;
  private final Seal incoming;

  /** Sealed bytes on their way out, and those that came and are no whole frame yet. */
  private final ByteBuffer sealedOut;

  private final ByteBuffer sealedIn;

  /** Opened bytes that nobody has read yet. */
  private final ByteBuffer opened;

  private Wire(SocketChannel channel, Seal outgoing, Seal incoming) throws IOException {
    this.channel = channel;
    this.outgoing = outgoing;
    this.incoming = incoming;
    int sealed = outgoing == null ? 0 : Integer.BYTES + FRAME + TAG_BYTES;
    sealedOut = ByteBuffer.allocateDirect(sealed).limit(0);
    sealedIn = ByteBuffer.allocateDirect(sealed);
    opened = ByteBuffer.allocate(outgoing == null ? 0 : FRAME + TAG_BYTES).limit(0);
    channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
    CongestionControl.choose(channel);
    channel.configureBlocking(false);
  }

  static Wire plain(SocketChannel channel) throws IOException {
    return new Wire(channel, null, null);
  }

  /**
   * Encrypts both directions.
   *
   * @param outgoing key of 32 bytes that the other end has as its incoming one
   */
  static Wire sealed(SocketChannel channel, byte[] outgoing, byte[] incoming) throws IOException {
    return new Wire(
        channel, new Seal(Cipher.ENCRYPT_MODE, outgoing), new Seal(Cipher.DECRYPT_MODE, incoming));
  }

  SelectionKey register(Selector selector, int operations) throws IOException {
    return channel.register(selector, operations);
  }

  /**
   * Takes what it can.
   *
   * @return bytes taken from the source
   */
  int write(ByteBuffer source) throws IOException {
    if (outgoing == null) {
      return channel.write(source);
    }
    if (!flush()) {
      return 0;
    }
    int count = Math.min(FRAME, source.remaining());
    ByteBuffer frame = source.slice(source.position(), count);
    source.position(source.position() + count);
    sealedOut.clear().putInt(count + TAG_BYTES);
    outgoing.apply(frame, sealedOut);
    sealedOut.flip();
    flush();
    return count;
  }

  /**
   * Whether all that was taken is on its way; false: call again when the connection is writable.
   */
  boolean flush() throws IOException {
    if (sealedOut.hasRemaining()) {
      channel.write(sealedOut);
    }
    return !sealedOut.hasRemaining();
  }

  /**
   * Gives what has come.
   *
   * @return bytes put into the target; 0 when none has come, -1 at the end of the connection
   */
  int read(ByteBuffer target) throws IOException {
    if (incoming == null) {
      return channel.read(target);
    }
    if (!opened.hasRemaining()) {
      if (!isWhole()) {
        int n = channel.read(sealedIn);
        if (!isWhole()) {
          return n < 0 ? -1 : 0;
        }
      }
      open();
    }
    int count = Math.min(opened.remaining(), target.remaining());
    target.put(target.position(), opened, opened.position(), count);
    target.position(target.position() + count);
    opened.position(opened.position() + count);
    return count;
  }

  private boolean isWhole() throws IOException {
    if (sealedIn.position() < Integer.BYTES) {
      return false;
    }
    int length = sealedIn.getInt(0);
    if (length <= TAG_BYTES || length > FRAME + TAG_BYTES) {
      throw new IOException(message("a frame of %s bytes came", length));
    }
    return sealedIn.position() >= Integer.BYTES + length;
  }

  private void open() throws IOException {
    int length = sealedIn.getInt(0);
    opened.clear();
    incoming.apply(sealedIn.slice(Integer.BYTES, length), opened);
    opened.flip();
    sealedIn.flip().position(Integer.BYTES + length);
    sealedIn.compact();
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }

  @Override
  public String toString() {
    return "the connection to " + channel.socket().getRemoteSocketAddress();
  }

  /** One direction. */
  private static final class Seal {
    private final int mode;
    private final SecretKeySpec key;
    private final Cipher cipher;
    private long frame;

    Seal(int mode, byte[] key) {
      this.mode = mode;
      this.key = new SecretKeySpec(key, "AES");
      try {
        cipher = Cipher.getInstance("AES/GCM/NoPadding");
      } catch (GeneralSecurityException e) {
        throw new IllegalStateException(
            message("Cannot encrypt because this JVM lacks AES-GCM: %s.", e.getMessage()), e);
      }
    }

    void apply(ByteBuffer from, ByteBuffer to) throws IOException {
      byte[] nonce = ByteBuffer.allocate(12).putLong(4, frame++).array();
      try {
        cipher.init(mode, key, new GCMParameterSpec(8 * TAG_BYTES, nonce));
        cipher.doFinal(from, to);
      } catch (GeneralSecurityException e) {
        throw new IOException(
            message("a frame was not sealed by this job (%s)", e.getMessage()), e);
      }
    }
  }
}
