package io.github.kklip.tensor;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Memory of this process as Linux counts it, in KiB. The tests' virtual machine touches its whole
 * heap at the start (see pom.xml), so that what grows is native.
 */
public final class ResidentMemory {
  private ResidentMemory() {}

  /** What is resident now. */
  public static long kibibytes() {
    return field("VmRSS:");
  }

  /** The most that was ever resident. */
  public static long peakKibibytes() {
    return field("VmHWM:");
  }

  private static long field(String name) {
    try {
      for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
        if (line.startsWith(name)) {
          return Long.parseLong(line.replaceAll("\\D", ""));
        }
      }
      throw new IOException("no " + name);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
