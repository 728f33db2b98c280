package io.github.kklip.check;

import java.util.List;

/**
 * What is known of a job before it begins.
 *
 * @param problems what would stop it, one message each
 * @param warnings what may stop it, and may be over by then
 */
public record CheckResult(List<String> problems, List<String> warnings) {
  public CheckResult {
    problems = List.copyOf(problems);
    warnings = List.copyOf(warnings);
  }
}
