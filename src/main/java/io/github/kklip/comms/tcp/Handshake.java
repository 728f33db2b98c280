package io.github.kklip.comms.tcp;

import static io.github.kklip.config.Message.message;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.time.Duration;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * Mutual proof of the job's secret, before anything else that came over a connection is looked at.
 *
 * <p>Every message has a fixed size. The side that was called sends a nonce. The caller answers
 * with its own nonce, its rank, the purpose of the connection, and an HMAC-SHA256 over all that and
 * both ends of the call; the side that was called answers with an HMAC under another label. So
 * neither side can be answered with its own words, and no answer serves a second connection.
 */
public final class Handshake {
  /** Length of the secret that the ranks of one attempt share. */
  public static final int SECRET_BYTES = 32;

  private static final String ALGORITHM = "HmacSHA256";
  private static final int NONCE_BYTES = 32;
  private static final int MAC_BYTES = 32;
  private static final SecureRandom RANDOM = new SecureRandom();

  /** What a connection is for. */
  public enum Purpose {
    DATA(1),
    CONTROL(2),
    /** Data between machines, beside the ring of all ranks. */
    LANE(3);

    private final int code;

    Purpose(int code) {
      this.code = code;
    }

    private static Purpose of(int code) throws IOException {
      for (Purpose purpose : values()) {
        if (purpose.code == code) {
          return purpose;
        }
      }
      throw new IOException("it does not speak this protocol");
    }
  }

  /** Who called, and for what. */
  public record Caller(int rank, Purpose purpose) {}

  /**
   * What a successful handshake gives.
   *
   * @param toCallee key for what the caller sends, which only the two ends of this call know
   * @param toCaller key for the other direction
   */
  record Session(
      Caller caller,
      @SuppressWarnings("ArrayRecordComponent") byte[] toCallee,
      @SuppressWarnings("ArrayRecordComponent") byte[] toCaller) {}

  private final byte[] secret;
  private final int ranks;

  public Handshake(byte[] secret, int ranks) {
    if (secret.length < SECRET_BYTES) {
      throw new IllegalArgumentException(
          message(
              "Cannot authenticate ranks because the secret has %s bytes. It needs %s random bytes.",
              secret.length, SECRET_BYTES));
    }
    this.secret = secret.clone();
    this.ranks = ranks;
  }

  /** The caller's side. */
  public Session call(Socket socket, Caller self, int callee, Duration limit) throws IOException {
    long deadline = System.nanoTime() + limit.toNanos();
    byte[] theirs = read(socket, NONCE_BYTES, deadline);
    byte[] ours = nonce();
    ByteBuffer hello = ByteBuffer.allocate(NONCE_BYTES + 2 * Integer.BYTES + MAC_BYTES);
    hello.put(ours).putInt(self.rank()).putInt(self.purpose().code);
    hello.put(mac("call", theirs, ours, self, callee));
    socket.getOutputStream().write(hello.array());
    byte[] answer = read(socket, MAC_BYTES, deadline);
    if (!MessageDigest.isEqual(answer, mac("answer", theirs, ours, self, callee))) {
      throw new IOException("it does not know the secret of this job");
    }
    return session(theirs, ours, self, callee);
  }

  /** The side of the one that was called. */
  Session answer(Socket socket, int self, Duration limit) throws IOException {
    long deadline = System.nanoTime() + limit.toNanos();
    byte[] ours = nonce();
    socket.getOutputStream().write(ours);
    ByteBuffer hello =
        ByteBuffer.wrap(read(socket, NONCE_BYTES + 2 * Integer.BYTES + MAC_BYTES, deadline));
    byte[] theirs = new byte[NONCE_BYTES];
    hello.get(theirs);
    Caller caller = new Caller(hello.getInt(), Purpose.of(hello.getInt()));
    byte[] proof = new byte[MAC_BYTES];
    hello.get(proof);
    if (!MessageDigest.isEqual(proof, mac("call", ours, theirs, caller, self))) {
      throw new IOException("it does not know the secret of this job");
    }
    socket.getOutputStream().write(mac("answer", ours, theirs, caller, self));
    return session(ours, theirs, caller, self);
  }

  private Session session(byte[] calleeNonce, byte[] callerNonce, Caller caller, int callee) {
    return new Session(
        caller,
        mac("key to callee", calleeNonce, callerNonce, caller, callee),
        mac("key to caller", calleeNonce, callerNonce, caller, callee));
  }

  private byte[] mac(
      String label, byte[] calleeNonce, byte[] callerNonce, Caller caller, int callee) {
    try {
      Mac mac = Mac.getInstance(ALGORITHM);
      mac.init(new SecretKeySpec(secret, ALGORITHM));
      // The byte order is part of the proof: elements travel as they lie in memory.
      mac.update(
          ("kklip ring 1 " + label + " " + ByteOrder.nativeOrder())
              .getBytes(StandardCharsets.UTF_8));
      mac.update(calleeNonce);
      mac.update(callerNonce);
      mac.update(
          ByteBuffer.allocate(4 * Integer.BYTES)
              .putInt(caller.rank())
              .putInt(caller.purpose().code)
              .putInt(callee)
              .putInt(ranks)
              .array());
      return mac.doFinal();
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException(message("Cannot authenticate ranks: %s.", e.getMessage()), e);
    }
  }

  private static byte[] nonce() {
    byte[] nonce = new byte[NONCE_BYTES];
    RANDOM.nextBytes(nonce);
    return nonce;
  }

  /** Reads exactly {@code length} bytes; a peer that sends drop by drop does not get more time. */
  private static byte[] read(Socket socket, int length, long deadline) throws IOException {
    byte[] bytes = new byte[length];
    InputStream in = socket.getInputStream();
    int filled = 0;
    while (filled < length) {
      long left = Duration.ofNanos(deadline - System.nanoTime()).toMillis();
      if (left <= 0) {
        throw new SocketTimeoutException("it did not answer in time");
      }
      socket.setSoTimeout((int) Math.min(left, Integer.MAX_VALUE));
      int n = in.read(bytes, filled, length - filled);
      if (n < 0) {
        throw new EOFException("it closed the connection, as it does when the secrets differ");
      }
      filled += n;
    }
    return bytes;
  }
}
