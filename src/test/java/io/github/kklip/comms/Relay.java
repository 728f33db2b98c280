package io.github.kklip.comms;

import io.github.kklip.comms.transport.Closing;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;

/** A network before a port, which can fail: it passes bytes on until it is told otherwise. */
final class Relay implements AutoCloseable {
  enum State {
    PASSES,
    /** No byte comes through, and no connection is closed: as when a cable is pulled. */
    CUT,
    /** Changes a bit of what comes next, once for each direction of each connection. */
    FALSIFIES
  }

  private final ServerSocket server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
  private final List<Socket> sockets = new ArrayList<>();
  private final CountDownLatch closed = new CountDownLatch(1);
  private volatile State state = State.PASSES;

  Relay(int target) throws IOException {
    Closing.daemon(
        "relay-" + target,
        () -> {
          try {
            while (true) {
              Socket caller = server.accept();
              Socket callee = new Socket(InetAddress.getLoopbackAddress(), target);
              synchronized (sockets) {
                sockets.add(caller);
                sockets.add(callee);
              }
              Closing.daemon("relay-to-" + target, () -> pass(caller, callee));
              Closing.daemon("relay-from-" + target, () -> pass(callee, caller));
            }
          } catch (IOException e) {
            // Closed.
          }
        });
  }

  int port() {
    return server.getLocalPort();
  }

  void become(State next) {
    state = next;
  }

  private void pass(Socket from, Socket to) {
    byte[] bytes = new byte[64 * 1024];
    boolean falsified = false;
    try (InputStream in = from.getInputStream();
        OutputStream out = to.getOutputStream()) {
      for (int n = in.read(bytes); n >= 0; n = in.read(bytes)) {
        if (state == State.CUT) {
          closed.await();
          return;
        }
        if (state == State.FALSIFIES && !falsified) {
          falsified = true;
          bytes[n - 1] ^= 1;
        }
        out.write(bytes, 0, n);
      }
    } catch (IOException e) {
      // One end has gone.
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void close() throws IOException {
    closed.countDown();
    server.close();
    synchronized (sockets) {
      for (Socket socket : sockets) {
        socket.close();
      }
    }
  }
}
