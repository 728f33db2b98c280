package io.github.kklip.tensor;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/** What this machine's processor can multiply. */
final class Processor {
  /** Names in /proc/cpuinfo of instructions that multiply bfloat16: x86's two kinds, and Arm's. */
  private static final List<String> BFLOAT16 = List.of("avx512_bf16", "amx_bf16", "bf16");

  /** The answer does not change while the process lives. */
  private static final boolean HAS_BFLOAT16 = read(Path.of("/proc/cpuinfo"));

  private Processor() {}

  static boolean multipliesBfloat16() {
    return HAS_BFLOAT16;
  }

  private static boolean read(Path cpuinfo) {
    try {
      return multipliesBfloat16(Files.readString(cpuinfo, StandardCharsets.ISO_8859_1));
    } catch (IOException e) {
      return false;
    }
  }

  /**
   * Whether the first processor of a /proc/cpuinfo lists the instructions. All of them are alike.
   */
  static boolean multipliesBfloat16(String cpuinfo) {
    return cpuinfo
        .lines()
        .filter(line -> line.startsWith("flags") || line.startsWith("Features"))
        .findFirst()
        .map(line -> Arrays.asList(line.substring(line.indexOf(':') + 1).trim().split(" ")))
        .map(flags -> flags.stream().anyMatch(BFLOAT16::contains))
        .orElse(false);
  }
}
