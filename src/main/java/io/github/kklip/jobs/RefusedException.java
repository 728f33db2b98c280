package io.github.kklip.jobs;

import io.github.kklip.config.SettingsException;
import java.util.List;

/** The job was not begun, because of problems that were found before. */
public final class RefusedException extends SettingsException {
  private static final long serialVersionUID = 1L;

  private final List<String> problems;

  RefusedException(String job, List<String> problems) {
    super(text(job, problems));
    this.problems = List.copyOf(problems);
  }

  /** Each as a sentence with what to do. */
  public List<String> problems() {
    return problems;
  }

  private static String text(String job, List<String> problems) {
    return problems.size() == 1
        ? problems.get(0)
        : "Cannot run the job " + job + ":\n- " + String.join("\n- ", problems);
  }
}
