package io.github.kklip.comms.tcp;

import com.sun.jna.Native;
import java.io.IOException;
import java.lang.reflect.Method;
import java.net.InetSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What decides how fast a TCP connection sends. Within a machine there is no congestion, but an
 * algorithm that paces, as BBR does, sends by timers all the same, and they take processor time
 * from the ranks. There a connection takes Reno's (RFC 5681), which every Linux has and lets
 * everybody take (man 7 tcp, TCP_CONGESTION). Java has no name for the option, so that it is set
 * where the JVM opens {@code sun.nio.ch}, as Spark's does; elsewhere the system's choice stays.
 */
final class CongestionControl {
  private static final Logger LOG = LoggerFactory.getLogger(CongestionControl.class);
  private static final int TCP = 6;
  private static final int CONGESTION = 13;
  private static final byte[] RENO = "reno".getBytes(StandardCharsets.US_ASCII);

  /** Gives a channel's descriptor; null where the option cannot be set. */
  private static final Method DESCRIPTOR = find();

  private CongestionControl() {}

  /** Takes Reno's if both ends have the same address, which only a machine has with itself. */
  static void choose(SocketChannel channel) throws IOException {
    InetSocketAddress here = (InetSocketAddress) channel.getLocalAddress();
    InetSocketAddress there = (InetSocketAddress) channel.getRemoteAddress();
    if (DESCRIPTOR == null || !here.getAddress().equals(there.getAddress())) {
      return;
    }
    try {
      int descriptor = (int) DESCRIPTOR.invoke(channel);
      if (setsockopt(descriptor, TCP, CONGESTION, RENO, RENO.length) != 0) {
        LOG.debug("The system keeps its congestion control for {}.", channel);
      }
    } catch (ReflectiveOperationException e) {
      LOG.debug("The system keeps its congestion control for {}.", channel, e);
    }
  }

  private static Method find() {
    if (!System.getProperty("os.name").equals("Linux")) {
      return null;
    }
    try {
      Method descriptor = Class.forName("sun.nio.ch.SelChImpl").getMethod("getFDVal");
      descriptor.setAccessible(true);
      Native.register(CongestionControl.class, "c");
      return descriptor;
    } catch (ReflectiveOperationException | RuntimeException | LinkageError e) {
      LOG.info("The system keeps its congestion control because of {}.", e.toString());
      return null;
    }
  }

  private static native int setsockopt(
      int descriptor, int level, int option, byte[] value, int length);
}
