package io.github.kklip.comms.tcp;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.jna.Native;
import com.sun.jna.ptr.IntByReference;
import java.lang.reflect.Method;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

@EnabledOnOs(OS.LINUX)
class CongestionControlTest {
  @BeforeAll
  static void bind() {
    Native.register(CongestionControlTest.class, "c");
  }

  @Test
  void aConnectionWithinTheMachineTakesReno() throws Exception {
    assertThat(afterChoice("127.0.0.1", "127.0.0.1")).isEqualTo("reno");
  }

  /** Two addresses may be two machines. */
  @Test
  void aConnectionBetweenTwoAddressesStaysAsItIs() throws Exception {
    assertThat(afterChoice("127.0.0.2", "127.0.0.1"))
        .isEqualTo(Files.readString(Path.of("/proc/sys/net/ipv4/tcp_congestion_control")).strip());
  }

  private static String afterChoice(String from, String to) throws Exception {
    try (ServerSocketChannel server = ServerSocketChannel.open();
        SocketChannel channel = SocketChannel.open()) {
      server.bind(new InetSocketAddress(InetAddress.getByName(to), 0));
      channel.bind(new InetSocketAddress(InetAddress.getByName(from), 0));
      channel.connect(server.getLocalAddress());
      CongestionControl.choose(channel);
      Method descriptor = Class.forName("sun.nio.ch.SelChImpl").getMethod("getFDVal");
      descriptor.setAccessible(true);
      byte[] name = new byte[16];
      IntByReference length = new IntByReference(name.length);
      assertThat(getsockopt((int) descriptor.invoke(channel), 6, 13, name, length)).isZero();
      return Native.toString(name);
    }
  }

  private static native int getsockopt(
      int descriptor, int level, int option, byte[] value, IntByReference length);
}
