package io.github.kklip.jobs;

import java.util.List;

/** The job was not begun, because of problems that were found before. */
final class RefusedException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final List<String> problems;

  RefusedException(String job, List<String> problems) {
    super(text(job, problems));
    this.problems = List.copyOf(problems);
  }

  List<String> problems() {
    return problems;
  }

  private static String text(String job, List<String> problems) {
    return problems.size() == 1
        ? problems.get(0)
        : "Cannot run " + job + ":\n- " + String.join("\n- ", problems);
  }
}
