package io.github.kklip.comms;

import io.github.kklip.comms.tcp.Handshake;
import io.github.kklip.comms.tcp.Peer;
import io.github.kklip.comms.tcp.RingListener;
import io.github.kklip.comms.transport.Timeouts;
import io.github.kklip.config.ElementType;
import io.github.kklip.config.TrainSettings;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/**
 * Time of an all-reduce of float32 between processes of this machine: over TCP, in the clear and
 * encrypted, and in shared memory; and by gloo when a Python with PyTorch is given. All stay
 * connected and take turns, size by size and round by round; medians of rounds count, and of the
 * rounds' ratios.
 *
 * <p>Arguments: RANKS SIZES [PYTHON], such as {@code 2 1,16,64,604 python3}. Prints milliseconds,
 * the bandwidth (bytes of the buffer for each second) and its ratio to gloo's.
 */
public final class AllReduceBench {
  private static final Duration LIMIT = Duration.ofMinutes(3);
  private static final int ROUNDS = 15;
  private static final int LIMIT_BYTES = 1 << 27;
  private static final Pattern SECONDS = Pattern.compile("\"seconds\": ([0-9.eE-]+)");

  private AllReduceBench() {}

  /** A contestant: told "MB REPEATS", it answers with a line that has "seconds". */
  private static final class Group implements AutoCloseable {
    private final List<Process> processes = new ArrayList<>();
    private final List<BufferedReader> outputs = new ArrayList<>();

    void start(List<String> command) throws IOException {
      Process process =
          new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
      processes.add(process);
      outputs.add(process.inputReader(StandardCharsets.UTF_8));
    }

    void tell(String line) throws IOException {
      for (Process process : processes) {
        process.getOutputStream().write((line + "\n").getBytes(StandardCharsets.UTF_8));
        process.getOutputStream().flush();
      }
    }

    double seconds(String request) throws IOException {
      tell(request);
      String answer = outputs.get(0).readLine();
      Matcher matcher = SECONDS.matcher(answer == null ? "" : answer);
      if (!matcher.find()) {
        throw new IOException("A contestant answered " + answer + " to " + request + ".");
      }
      return Double.parseDouble(matcher.group(1));
    }

    @Override
    public void close() throws IOException {
      for (Process process : processes) {
        process.getOutputStream().close();
      }
      for (Process process : processes) {
        process.onExit().orTimeout(40, java.util.concurrent.TimeUnit.SECONDS).join();
      }
    }
  }

  public static void main(String[] args) throws Exception {
    if (args[0].equals("rank")) {
      rank(args);
      return;
    }
    int ranks = Integer.parseInt(args[0]);
    List<Integer> sizes = Arrays.stream(args[1].split(",", -1)).map(Integer::valueOf).toList();
    Map<String, Group> groups = new LinkedHashMap<>();
    try {
      groups.put("tcp", ours(ranks, "TCP", false));
      groups.put("tcp, encrypted", ours(ranks, "TCP", true));
      groups.put("shared memory", ours(ranks, "SHARED_MEMORY", false));
      if (args.length > 2) {
        Group gloo = new Group();
        groups.put("gloo", gloo);
        gloo.start(
            List.of(
                args[2],
                "src/test/python/allreduce_bench.py",
                Integer.toString(ranks),
                Integer.toString(freePort())));
      }
      for (Group group : groups.values()) {
        group.seconds("4 200"); // Until all is compiled.
      }
      System.out.printf(
          Locale.ROOT,
          "limits: copy in memory %.2f GB/s, loopback TCP (%s) %.2f GB/s, both ways together%n",
          copyLimit(),
          Files.readString(Path.of("/proc/sys/net/ipv4/tcp_congestion_control")).strip(),
          loopbackLimit());
      for (int size : sizes) {
        compare(ranks, size, groups);
      }
    } finally {
      for (Group group : groups.values()) {
        group.close();
      }
    }
  }

  /** Bytes copied in a second by as many threads as there are processors. */
  private static double copyLimit() {
    return perSecond(
        Runtime.getRuntime().availableProcessors(),
        thread -> {
          ByteBuffer from = ByteBuffer.allocateDirect(LIMIT_BYTES);
          ByteBuffer to = ByteBuffer.allocateDirect(LIMIT_BYTES);
          to.put(0, from, 0, LIMIT_BYTES);
          return () -> {
            to.put(0, from, 0, LIMIT_BYTES);
            return LIMIT_BYTES;
          };
        });
  }

  /** Bytes received in a second by two threads that send to each other. */
  private static double loopbackLimit() throws IOException {
    try (ServerSocketChannel server =
            ServerSocketChannel.open()
                .bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
        SocketChannel there = SocketChannel.open(server.getLocalAddress());
        SocketChannel here = server.accept()) {
      return perSecond(2, thread -> exchange(thread == 0 ? here : there));
    }
  }

  /** Sends and receives {@value #LIMIT_BYTES} bytes at the same time, in pieces. */
  private static Callable<Integer> exchange(SocketChannel channel) throws IOException {
    channel.configureBlocking(false);
    ByteBuffer out = ByteBuffer.allocateDirect(1 << 18);
    ByteBuffer in = ByteBuffer.allocateDirect(1 << 18);
    return () -> {
      int sent = 0;
      int received = 0;
      while (sent < LIMIT_BYTES || received < LIMIT_BYTES) {
        sent += channel.write(out.clear().limit(Math.min(out.capacity(), LIMIT_BYTES - sent)));
        received += channel.read(in.clear().limit(Math.min(in.capacity(), LIMIT_BYTES - received)));
      }
      return received;
    };
  }

  private interface Contestant {
    /** What a thread does again and again, and how many bytes that moves. */
    Callable<Integer> of(int thread) throws IOException;
  }

  /** GB/s of all threads together, the best of some rounds. */
  private static double perSecond(int threads, Contestant contestant) {
    ExecutorService pool = Executors.newFixedThreadPool(threads);
    try {
      List<Callable<Integer>> works = new ArrayList<>();
      for (int thread = 0; thread < threads; thread++) {
        works.add(contestant.of(thread));
      }
      double best = 0;
      for (int round = 0; round < ROUNDS; round++) {
        long start = System.nanoTime();
        double bytes = 0;
        for (Future<Integer> moved : pool.invokeAll(works)) {
          bytes += moved.get();
        }
        best = Math.max(best, bytes / (System.nanoTime() - start));
      }
      return best;
    } catch (IOException | InterruptedException | ExecutionException e) {
      throw new IllegalStateException(e);
    } finally {
      pool.shutdown();
    }
  }

  private static void compare(int ranks, int size, Map<String, Group> groups) throws IOException {
    int repeats = size > 200 ? 1 : size > 32 ? 4 : 12;
    Map<String, List<Double>> seconds = new LinkedHashMap<>();
    for (int round = 0; round < (size > 200 ? ROUNDS / 3 : ROUNDS); round++) {
      for (Map.Entry<String, Group> group : groups.entrySet()) {
        seconds
            .computeIfAbsent(group.getKey(), k -> new ArrayList<>())
            .add(group.getValue().seconds(size + " " + repeats));
      }
    }
    seconds.forEach(
        (name, times) -> {
          double own = median(times);
          String ratio =
              seconds.containsKey("gloo")
                  ? String.format(Locale.ROOT, ", %.2f x gloo", ratio(seconds.get("gloo"), times))
                  : "";
          System.out.printf(
              Locale.ROOT,
              "%d ranks, %d MB, %s: %.2f ms, %.2f GB/s%s%n",
              ranks,
              size,
              name,
              own * 1e3,
              size * 1e-3 / own,
              ratio);
        });
  }

  /** Of the rounds' ratios: a round's contestants met the machine in the same mood. */
  private static double ratio(List<Double> theirs, List<Double> ours) {
    return median(
        IntStream.range(0, ours.size()).mapToObj(r -> theirs.get(r) / ours.get(r)).toList());
  }

  private static double median(List<Double> values) {
    return values.stream().sorted().toList().get(values.size() / 2);
  }

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    }
  }

  private static Group ours(int ranks, String transport, boolean encrypted) throws IOException {
    Group group = new Group();
    for (int r = 0; r < ranks; r++) {
      group.start(
          List.of(
              Path.of(System.getProperty("java.home"), "bin", "java").toString(),
              "@conf/jvm.options",
              "-Xmx256m",
              "-XX:MaxDirectMemorySize=2g",
              "-cp",
              System.getProperty("java.class.path"),
              AllReduceBench.class.getName(),
              "rank",
              Integer.toString(r),
              transport,
              Boolean.toString(encrypted)));
    }
    group.tell("5a".repeat(Handshake.SECRET_BYTES));
    List<String> ports = new ArrayList<>();
    for (BufferedReader output : group.outputs) {
      ports.add(output.readLine());
    }
    group.tell(String.join(" ", ports));
    return group;
  }

  private static void rank(String... args) throws Exception {
    int rank = Integer.parseInt(args[1]);
    BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    byte[] secret = HexFormat.of().parseHex(in.readLine());
    RingListener listener = RingListener.open(InetAddress.getLoopbackAddress(), 0);
    System.out.println(listener.port());
    List<Peer> peers =
        Arrays.stream(in.readLine().split(" ", -1))
            .map(port -> new Peer("127.0.0.1", Integer.parseInt(port)))
            .toList();
    TransportOptions options =
        new TransportOptions(
            TrainSettings.TransportChoice.valueOf(args[2]),
            TransportOptions.SHARED_FOLDER,
            Boolean.parseBoolean(args[3]));
    Map<Integer, ByteBuffer> buffers = new LinkedHashMap<>();
    try (Collective collective =
        Communicator.connect(
            listener, rank, peers, secret, new Timeouts(LIMIT, LIMIT, LIMIT), options)) {
      for (String line = in.readLine(); line != null; line = in.readLine()) {
        String[] words = line.split(" ", -1);
        int size = Integer.parseInt(words[0]);
        ByteBuffer buffer =
            buffers.computeIfAbsent(
                size, s -> ByteBuffer.allocateDirect(s * 1_000_000).order(ByteOrder.nativeOrder()));
        double seconds = repeat(collective, buffer, Integer.parseInt(words[1]));
        if (rank == 0) {
          System.out.println("{\"seconds\": " + seconds + "}");
        }
      }
    }
  }

  private static double repeat(Collective collective, ByteBuffer buffer, int repeats) {
    List<Double> seconds = new ArrayList<>();
    for (int repeat = 0; repeat <= repeats; repeat++) {
      for (int i = 0; i < buffer.capacity(); i += Float.BYTES) {
        buffer.putFloat(i, 1);
      }
      collective.barrier().await();
      long start = System.nanoTime();
      collective.allReduce(buffer, ElementType.FLOAT32).await();
      if (repeat > 0) {
        seconds.add((System.nanoTime() - start) / 1e9);
      }
    }
    if (buffer.getFloat(buffer.capacity() - Float.BYTES) != collective.size()) {
      throw new AssertionError("The sum is wrong.");
    }
    return median(seconds);
  }
}
