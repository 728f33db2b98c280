package io.github.kklip;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;

/**
 * Real data and weights that may stand beside the checkout; tests that need them are skipped
 * without.
 */
public final class SharedData {
  private SharedData() {}

  /** The path of a shared file or folder, or the end of the calling test as skipped. */
  public static Path path(String name) {
    return found("data/" + name);
  }

  /** The path of a small input that once failed, or the end of the calling test as skipped. */
  public static Path shownCase(String name) {
    return found("cases/" + name);
  }

  private static Path found(String name) {
    return Stream.of("../shared", "../../shared")
        .map(root -> Path.of(root).resolve(name))
        .filter(Files::exists)
        .findFirst()
        .orElseGet(() -> Assumptions.abort("There is no ../shared/" + name + "."));
  }
}
