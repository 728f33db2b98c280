package io.github.kklip.comms;

import io.github.kklip.comms.tcp.Handshake;
import io.github.kklip.comms.tcp.Peer;
import io.github.kklip.comms.tcp.RingListener;
import io.github.kklip.comms.transport.CollectiveException;
import io.github.kklip.comms.transport.Timeouts;
import java.io.IOException;
import java.net.InetAddress;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.IntFunction;

/** Ranks as threads of this JVM, with real sockets between them. */
public final class Ranks {
  public static final Timeouts TIMEOUTS =
      new Timeouts(Duration.ofSeconds(20), Duration.ofSeconds(20), Duration.ofSeconds(20));

  public interface Body<T> {
    T run(Collective collective) throws Exception;
  }

  private Ranks() {}

  static byte[] secret() {
    byte[] secret = new byte[Handshake.SECRET_BYTES];
    new SecureRandom().nextBytes(secret);
    return secret;
  }

  /** What every rank returned, in order of rank. */
  public static <T> List<T> run(int ranks, Body<T> body) throws Exception {
    return run(ranks, TransportOptions.AUTO, body);
  }

  public static <T> List<T> run(int ranks, TransportOptions options, Body<T> body)
      throws Exception {
    return run(ranks, rank -> options, body);
  }

  /** Ranks that may see different folders of shared memory, as on different machines. */
  public static <T> List<T> run(int ranks, IntFunction<TransportOptions> options, Body<T> body)
      throws Exception {
    return values(outcomes(ranks, TIMEOUTS, options, body));
  }

  /** The futures of all ranks, all done. */
  public static <T> List<Future<T>> outcomes(
      int ranks, Timeouts timeouts, IntFunction<TransportOptions> options, Body<T> body)
      throws Exception {
    byte[] secret = secret();
    List<RingListener> listeners = new ArrayList<>();
    List<Peer> peers = new ArrayList<>();
    for (int r = 0; r < ranks; r++) {
      listeners.add(listener());
      peers.add(new Peer("127.0.0.1", listeners.get(r).port()));
    }
    return outcomes(
        listeners,
        rank ->
            Communicator.connect(
                listeners.get(rank), rank, peers, secret, timeouts, options.apply(rank)),
        body);
  }

  private static <T> List<Future<T>> outcomes(
      List<RingListener> listeners, IntFunction<Collective> connect, Body<T> body)
      throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(listeners.size());
    try {
      List<Future<T>> outcomes = new ArrayList<>();
      for (int r = 0; r < listeners.size(); r++) {
        int rank = r;
        outcomes.add(
            threads.submit(
                () -> {
                  try (Collective collective = connect.apply(rank)) {
                    return body.run(collective);
                  }
                }));
      }
      threads.shutdown();
      if (!threads.awaitTermination(60, TimeUnit.SECONDS)) {
        throw new IllegalStateException("The ranks did not end.");
      }
      return outcomes;
    } finally {
      threads.shutdownNow();
    }
  }

  /** The same with a network before every rank, which the body may break. */
  static <T> List<Future<T>> relayed(
      int ranks, Timeouts timeouts, TransportOptions options, List<Relay> relays, Body<T> body)
      throws Exception {
    byte[] secret = secret();
    List<RingListener> listeners = new ArrayList<>();
    List<Peer> peers = new ArrayList<>();
    for (int r = 0; r < ranks; r++) {
      listeners.add(listener());
      relays.add(new Relay(listeners.get(r).port()));
      peers.add(new Peer("127.0.0.1", relays.get(r).port()));
    }
    return outcomes(
        listeners,
        rank -> Communicator.connect(listeners.get(rank), rank, peers, secret, timeouts, options),
        body);
  }

  static RingListener listener() throws IOException {
    return RingListener.open(InetAddress.getLoopbackAddress(), 0);
  }

  /** Of several failures the cause is one that is not only the loss of another rank. */
  private static <T> List<T> values(List<Future<T>> outcomes) throws InterruptedException {
    List<T> values = new ArrayList<>();
    List<Throwable> failures = new ArrayList<>();
    for (Future<T> outcome : outcomes) {
      try {
        values.add(outcome.get());
      } catch (ExecutionException e) {
        failures.add(e.getCause() instanceof CollectiveException ? failures.size() : 0, e);
      }
    }
    if (!failures.isEmpty()) {
      IllegalStateException failed = new IllegalStateException(failures.remove(0));
      failures.forEach(failed::addSuppressed);
      throw failed;
    }
    return values;
  }
}
