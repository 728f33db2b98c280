package io.github.kklip.comms;

import io.github.kklip.comms.tcp.Handshake;
import io.github.kklip.comms.tcp.Peer;
import io.github.kklip.comms.tcp.RingListener;
import io.github.kklip.comms.transport.Timeouts;
import io.github.kklip.config.ElementType;
import io.github.kklip.config.TrainSettings;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.locks.LockSupport;

/**
 * The ring over networks that this machine does not have: between two ranks stands a relay that
 * gives every byte a latency and lets a bandwidth through. Compares the time of an all-reduce with
 *
 * <pre>T = 2 (N - 1) a + 2 (N - 1) / N * S / B</pre>
 *
 * for N ranks, S bytes, latency a and bandwidth B of a link: what docs/scale.md predicts with.
 */
public final class SlowNetworkBench {
  private static final Timeouts TIMEOUTS =
      new Timeouts(Duration.ofMinutes(1), Duration.ofMinutes(1), Duration.ofMinutes(1));
  private static final int ROUNDS = 5;

  private SlowNetworkBench() {}

  public static void main(String[] args) throws Exception {
    System.out.println("ranks, MB, latency ms, MB/s: measured ms, predicted ms, ratio");
    for (int ranks : new int[] {2, 4, 8}) {
      for (double[] network : new double[][] {{0.5, 125}, {0.5, 50}, {5, 125}, {20, 50}}) {
        for (int size : new int[] {10_000, 1_000_000, 16_000_000}) {
          double a = network[0] / 1e3;
          double b = network[1] * 1e6;
          double measured = measure(ranks, size, a, b);
          double predicted = 2 * (ranks - 1) * (a + size / b / ranks);
          System.out.printf(
              Locale.ROOT,
              "%d, %.2f, %.1f, %.0f: %.1f, %.1f, %.2f%n",
              ranks,
              size / 1e6,
              network[0],
              network[1],
              measured * 1e3,
              predicted * 1e3,
              measured / predicted);
        }
      }
    }
  }

  private static double measure(int ranks, int size, double latency, double bandwidth)
      throws Exception {
    ExecutorService threads = Executors.newCachedThreadPool();
    List<AutoCloseable> open = new ArrayList<>();
    try {
      List<RingListener> listeners = new ArrayList<>();
      List<Peer> relayed = new ArrayList<>();
      for (int r = 0; r < ranks; r++) {
        RingListener listener = RingListener.open(InetAddress.getLoopbackAddress(), 0);
        Relay relay = new Relay(listener.port(), latency, bandwidth, threads);
        listeners.add(listener);
        open.add(relay);
        relayed.add(new Peer("127.0.0.1", relay.port()));
      }
      List<Callable<Double>> bodies = new ArrayList<>();
      for (int r = 0; r < ranks; r++) {
        int rank = r;
        bodies.add(() -> rank(listeners.get(rank), rank, relayed, size));
      }
      double worst = 0;
      for (Future<Double> seconds : threads.invokeAll(bodies)) {
        worst = Math.max(worst, seconds.get());
      }
      return worst;
    } finally {
      for (AutoCloseable closeable : open) {
        closeable.close();
      }
      threads.shutdownNow();
    }
  }

  private static double rank(RingListener listener, int rank, List<Peer> peers, int size) {
    TransportOptions options = new TransportOptions(TrainSettings.TransportChoice.TCP, "", false);
    try (Collective collective =
        Communicator.connect(
            listener, rank, peers, new byte[Handshake.SECRET_BYTES], TIMEOUTS, options)) {
      ByteBuffer buffer = ByteBuffer.allocateDirect(size).order(ByteOrder.nativeOrder());
      double[] seconds = new double[ROUNDS];
      for (int round = 0; round < ROUNDS; round++) {
        collective.barrier().await();
        long start = System.nanoTime();
        collective.allReduce(buffer, ElementType.FLOAT32).await();
        seconds[round] = (System.nanoTime() - start) / 1e9;
      }
      Arrays.sort(seconds);
      return seconds[ROUNDS / 2];
    }
  }

  /** Passes connections on to a port, late and slowly. */
  private static final class Relay implements AutoCloseable {
    private static final int PIECE = 16 * 1024;

    private record Piece(byte[] bytes, int length, long come) {}

    private final ServerSocket server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    private final double latency;
    private final double bandwidth;
    private final List<Socket> sockets = new ArrayList<>();

    Relay(int target, double latency, double bandwidth, ExecutorService threads)
        throws IOException {
      this.latency = latency;
      this.bandwidth = bandwidth;
      threads.execute(
          () -> {
            try {
              while (true) {
                Socket caller = server.accept();
                Socket callee = new Socket(InetAddress.getLoopbackAddress(), target);
                synchronized (sockets) {
                  sockets.add(caller);
                  sockets.add(callee);
                }
                pass(caller, callee, threads);
                pass(callee, caller, threads);
              }
            } catch (IOException e) {
              // Closed.
            }
          });
    }

    int port() {
      return server.getLocalPort();
    }

    private void pass(Socket from, Socket to, ExecutorService threads) throws IOException {
      to.setTcpNoDelay(true);
      BlockingQueue<Piece> pieces = new LinkedBlockingQueue<>();
      // What the network holds: what passes within the latency, and a little.
      Semaphore room = new Semaphore((int) (bandwidth * latency / PIECE) + 16);
      threads.execute(
          () -> {
            try (InputStream in = from.getInputStream()) {
              while (true) {
                room.acquire();
                byte[] bytes = new byte[PIECE];
                int length = in.read(bytes);
                pieces.add(new Piece(bytes, length, System.nanoTime()));
                if (length < 0) {
                  return;
                }
              }
            } catch (IOException e) {
              pieces.add(new Piece(new byte[0], -1, 0));
            } catch (InterruptedException e) {
              Thread.currentThread().interrupt();
            }
          });
      threads.execute(
          () -> {
            try (OutputStream out = to.getOutputStream()) {
              long free = 0;
              for (Piece piece = pieces.take(); piece.length >= 0; piece = pieces.take()) {
                free = Math.max(free, piece.come) + (long) (piece.length / bandwidth * 1e9);
                long due = free + (long) (latency * 1e9);
                while (System.nanoTime() < due) {
                  LockSupport.parkNanos(due - System.nanoTime());
                }
                out.write(piece.bytes, 0, piece.length);
                room.release();
              }
            } catch (IOException e) {
              // One end has gone.
            } catch (InterruptedException e) {
              Thread.currentThread().interrupt();
            }
          });
    }

    @Override
    public void close() throws IOException {
      server.close();
      synchronized (sockets) {
        for (Socket socket : sockets) {
          socket.close();
        }
      }
    }
  }
}
