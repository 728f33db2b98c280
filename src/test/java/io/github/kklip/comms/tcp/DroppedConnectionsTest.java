package io.github.kklip.comms.tcp;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.LogLines;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class DroppedConnectionsTest {
  private static final InetSocketAddress FROM =
      new InetSocketAddress(InetAddress.getLoopbackAddress(), 4242);

  private final AtomicLong clock = new AtomicLong(-5);

  @Test
  void theFirstIsToldAtOnceAndTheOthersTogether() {
    try (LogLines log = new LogLines(DroppedConnections.class.getName())) {
      DroppedConnections dropped = new DroppedConnections(3, clock::get);
      dropped.add(FROM, "it did not answer in time");
      assertThat(log.lines())
          .containsExactly(
              "Rank 3 dropped 1 connection(s), the last one from localhost/127.0.0.1:4242: 1 because it did not answer in time. Let only the ranks of this job reach this port; see train.port.");

      for (int i = 0; i < 1000; i++) {
        dropped.add(FROM, i % 4 == 0 ? "it did not answer in time" : "it is too curious");
      }
      assertThat(log.lines()).hasSize(1);

      clock.addAndGet(DroppedConnections.INTERVAL.toNanos());
      dropped.add(FROM, "it is too curious");
      assertThat(log.lines().get(1))
          .contains("dropped 1001 connection(s)")
          .contains(": 250 because it did not answer in time, 751 because it is too curious. ");

      dropped.tell();
      assertThat(log.lines()).as("nothing is left to tell").hasSize(2);
      dropped.add(FROM, "it is too curious");
      dropped.tell();
      assertThat(log.lines().get(2)).contains("dropped 1 connection(s)");
    }
  }

  /** Reasons can hold text of the operating system. */
  @Test
  void aLineNamesFewReasons() {
    try (LogLines log = new LogLines(DroppedConnections.class.getName())) {
      DroppedConnections dropped = new DroppedConnections(0, clock::get);
      for (int i = 0; i <= 100; i++) {
        dropped.add(FROM, "reason " + i);
      }
      dropped.tell();
      assertThat(log.lines().get(1))
          .contains("dropped 100 connection(s)")
          .contains("92 because of other reasons, 1 because reason 1, ")
          .hasSizeLessThan(400);
    }
  }
}
