package io.github.kklip.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * One contestant: a process that loads its model once, and then works off one block whenever it is
 * told to, so that blocks of both sides alternate on the machine. It prints {@code READY}, for each
 * line {@code go} a line of JSON with at least {@code seconds} and {@code items}, and at its end
 * one with {@code peak_rss_mib} (VmHWM of /proc/self/status).
 */
final class Side implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final String name;
  private final Process process;
  private final BufferedWriter in;
  private final BufferedReader out;
  private final List<JsonNode> blocks = new ArrayList<>();

  Side(String name, int threads, List<String> command) throws IOException {
    this.name = name;
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT);
    builder.environment().put("OMP_NUM_THREADS", Integer.toString(threads));
    builder.environment().put("DJL_OFFLINE", "true");
    process = builder.start();
    in =
        new BufferedWriter(
            new OutputStreamWriter(process.getOutputStream(), StandardCharsets.UTF_8));
    out =
        new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
    line("READY");
  }

  /** The next line that starts so; other output is passed over. */
  private String line(String start) throws IOException {
    String line = out.readLine();
    while (line != null && !line.startsWith(start)) {
      line = out.readLine();
    }
    if (line == null) {
      throw new IOException(
          "Cannot go on with the benchmark because the side \"" + name + "\" ended early.");
    }
    return line;
  }

  String name() {
    return name;
  }

  void block() throws IOException {
    in.write("go\n");
    in.flush();
    blocks.add(JSON.readTree(line("{")));
  }

  /** Median over the blocks. */
  double median(String field) {
    double[] values =
        blocks.stream().mapToDouble(block -> block.path(field).asDouble()).sorted().toArray();
    int middle = values.length / 2;
    return values.length % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  }

  boolean has(String field) {
    return blocks.get(0).has(field);
  }

  /** Items for each second of one block. */
  double rate(int block) {
    return blocks.get(block).path("items").asDouble()
        / blocks.get(block).path("seconds").asDouble();
  }

  /** Ends the process and gives what it says at its end. */
  JsonNode end() throws IOException, InterruptedException {
    in.close();
    JsonNode last = JSON.readTree(line("{"));
    if (!process.waitFor(1, TimeUnit.MINUTES)) {
      throw new IOException("Cannot end the benchmark's side \"" + name + "\": it runs on.");
    }
    return last;
  }

  @Override
  public void close() {
    process.destroyForcibly();
  }
}
