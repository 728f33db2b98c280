package io.github.kklip.tensor;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** Memory of this machine, or of the container that the process runs in. */
public final class HostMemory {
  private HostMemory() {}

  /**
   * Bytes that can be taken without swapping: free ones and those of caches that give way.
   * Containers (control groups, version 2 or 1) count by their own limit.
   */
  public static long available() {
    long available =
        field(Path.of("/proc/meminfo"), "MemAvailable:", 1024)
            .orElseGet(HostMemory::freeMemoryOfTheSystem);
    return Math.min(available, Math.min(leftOfGroup2(), leftOfGroup1()));
  }

  /** Bytes of the machine or container. */
  public static long total() {
    return ManagementFactory.getOperatingSystemMXBean() instanceof OperatingSystemMXBean system
        ? system.getTotalMemorySize()
        : Long.MAX_VALUE;
  }

  private static long freeMemoryOfTheSystem() {
    return ManagementFactory.getOperatingSystemMXBean() instanceof OperatingSystemMXBean system
        ? system.getFreeMemorySize()
        : Long.MAX_VALUE;
  }

  private static long leftOfGroup2() {
    Path group = Path.of("/sys/fs/cgroup");
    return left(
        group.resolve("memory.max"),
        group.resolve("memory.current"),
        group.resolve("memory.stat"),
        "inactive_file");
  }

  private static long leftOfGroup1() {
    Path group = Path.of("/sys/fs/cgroup/memory");
    return left(
        group.resolve("memory.limit_in_bytes"),
        group.resolve("memory.usage_in_bytes"),
        group.resolve("memory.stat"),
        "total_inactive_file");
  }

  private static long left(Path limit, Path used, Path statistics, String caches) {
    Optional<Long> most = field(limit, "", 1);
    Optional<Long> now = field(used, "", 1);
    if (most.isEmpty() || now.isEmpty()) {
      return Long.MAX_VALUE;
    }
    return Math.max(0, most.get() - now.get() + field(statistics, caches, 1).orElse(0L));
  }

  /** The number in the line that starts with {@code name}; empty when it is not there or "max". */
  private static Optional<Long> field(Path file, String name, long unit) {
    List<String> lines;
    try {
      lines = Files.readAllLines(file);
    } catch (IOException e) {
      return Optional.empty();
    }
    return lines.stream()
        .map(line -> line.trim().split("\\s+"))
        .filter(words -> name.isEmpty() || words[0].equals(name))
        .map(words -> words[name.isEmpty() ? 0 : 1])
        .filter(word -> word.matches("\\d{1,18}"))
        .findFirst()
        .map(word -> Long.parseLong(word) * unit);
  }
}
