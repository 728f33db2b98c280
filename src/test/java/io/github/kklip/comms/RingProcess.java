package io.github.kklip.comms;

import io.github.kklip.comms.tcp.Peer;
import io.github.kklip.comms.tcp.RingListener;
import io.github.kklip.comms.transport.CollectiveException;
import io.github.kklip.comms.transport.Timeouts;
import io.github.kklip.config.ElementType;
import io.github.kklip.config.TrainSettings;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;

/**
 * A rank in a process of its own. Prints its port; reads a line with the ports of all; then sums
 * {@code count} ones again and again, {@code rounds} times, and prints the checked result.
 */
final class RingProcess {
  private RingProcess() {}

  public static void main(String[] args) throws Exception {
    int rank = Integer.parseInt(args[0]);
    int count = Integer.parseInt(args[1]);
    int rounds = Integer.parseInt(args[2]);
    Timeouts timeouts =
        new Timeouts(
            Duration.ofSeconds(20),
            Duration.ofSeconds(Integer.parseInt(args[3])),
            Duration.ofSeconds(Integer.parseInt(args[4])));
    TransportOptions options =
        new TransportOptions(
            TrainSettings.TransportChoice.valueOf(args[5]), args[6], Boolean.parseBoolean(args[7]));
    BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    byte[] secret = HexFormat.of().parseHex(in.readLine());
    RingListener listener = RingListener.open(InetAddress.getLoopbackAddress(), 0);
    System.out.println(listener.port());
    List<Peer> peers =
        Arrays.stream(in.readLine().split(" ", -1))
            .map(port -> new Peer("127.0.0.1", Integer.parseInt(port)))
            .toList();
    try (Collective collective =
        Communicator.connect(listener, rank, peers, secret, timeouts, options)) {
      System.out.println(collective.transport());
      ByteBuffer buffer = ByteBuffer.allocateDirect(4 * count).order(ByteOrder.nativeOrder());
      for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < count; i++) {
          buffer.putFloat(4 * i, rank + i % 7);
        }
        collective.allReduce(buffer, ElementType.FLOAT32).await();
        for (int i = 0; i < count; i++) {
          float sum = peers.size() * (peers.size() - 1) / 2f + peers.size() * (i % 7);
          if (buffer.getFloat(4 * i) != sum) {
            throw new AssertionError(
                "Element " + i + " is " + buffer.getFloat(4 * i) + " instead of " + sum + ".");
          }
        }
        if (round == 0) {
          System.out.println("first");
        }
      }
      System.out.println("done");
    } catch (CollectiveException e) {
      System.out.println((e.isSecondary() ? "secondary " : "primary ") + e.getMessage());
    }
  }
}
