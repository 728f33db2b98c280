package io.github.kklip.comms.tcp;

import static io.github.kklip.config.Message.message;

import io.github.kklip.comms.transport.Closing;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** How a rank gets connections to others: it calls some, and others call it. */
public final class Rendezvous {
  private final Handshake handshake;
  private final RingListener.Calls calls;
  private final int rank;
  private final List<Peer> peers;
  private final boolean encrypted;
  private final long deadline;

  public Rendezvous(
      Handshake handshake,
      RingListener.Calls calls,
      int rank,
      List<Peer> peers,
      boolean encrypted,
      Duration limit) {
    this.handshake = handshake;
    this.calls = calls;
    this.rank = rank;
    this.peers = peers;
    this.encrypted = encrypted;
    this.deadline = System.nanoTime() + limit.toNanos();
  }

  /** Calls another rank. */
  public Wire call(int callee, Handshake.Purpose purpose) throws IOException {
    Peer peer = peers.get(callee);
    SocketChannel channel = SocketChannel.open();
    try {
      channel
          .socket()
          .connect(
              new InetSocketAddress(peer.host(), peer.port()),
              (int) Math.min(Integer.MAX_VALUE, Math.max(1, left().toMillis())));
      Handshake.Session session =
          handshake.call(channel.socket(), new Handshake.Caller(rank, purpose), callee, left());
      return encrypted
          ? Wire.sealed(channel, session.toCallee(), session.toCaller())
          : Wire.plain(channel);
    } catch (IOException e) {
      Closing.quietly(channel);
      throw new IOException(
          message(
              "Cannot connect rank %s to %s because %s. The ranks must be able to reach each other on these ports; see train.port.",
              rank, peer.named(callee), e.getMessage()),
          e);
    }
  }

  /** Waits for the call of another rank. */
  public Wire answer(int caller, Handshake.Purpose purpose) throws IOException {
    try {
      return calls
          .from(new Handshake.Caller(caller, purpose))
          .get(left().toNanos(), TimeUnit.NANOSECONDS);
    } catch (TimeoutException | ExecutionException e) {
      throw new IOException(
          message(
              "Cannot go on because %s did not connect within train.rendezvous-timeout.",
              peers.get(caller).named(caller)),
          e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException(
          "Cannot go on because the wait for the other ranks was interrupted.", e);
    }
  }

  private Duration left() {
    return Duration.ofNanos(Math.max(0, deadline - System.nanoTime()));
  }
}
