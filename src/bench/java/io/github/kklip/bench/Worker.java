package io.github.kklip.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/** This project's end of {@link Side}. */
interface Worker extends AutoCloseable {
  /** Works off one block; its {@code items} and, where wanted, more figures. */
  Map<String, Object> block() throws Exception;

  static void serve(Worker worker) throws Exception {
    try (worker;
        BufferedReader in =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
      PrintStream out = System.out;
      ObjectMapper json = new ObjectMapper();
      worker.block();
      out.println("READY");
      out.flush();
      while (in.readLine() != null) {
        long start = System.nanoTime();
        Map<String, Object> block = new LinkedHashMap<>(worker.block());
        block.putIfAbsent("seconds", (System.nanoTime() - start) / 1e9);
        out.println(json.writeValueAsString(block));
        out.flush();
      }
      out.println(json.writeValueAsString(Map.of("peak_rss_mib", peakMebibytes())));
      out.flush();
    }
  }

  /** The most resident memory that this process ever had. */
  private static long peakMebibytes() throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("VmHWM:")) {
        return Long.parseLong(line.replaceAll("\\D", "")) / 1024;
      }
    }
    throw new IOException("Cannot read the peak of resident memory from /proc/self/status.");
  }
}
