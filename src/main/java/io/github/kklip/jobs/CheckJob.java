package io.github.kklip.jobs;

import java.util.List;

/** Finds all that would keep {@code run} from its end, without starting anything. */
final class CheckJob implements Job<CheckSummary> {
  /** The job that is looked at: all stages that the settings need. */
  private static final String CHECKED = "run";

  @Override
  public String purpose() {
    return "Says what would keep run from its end: settings, files, folders, ranks.";
  }

  @Override
  public List<String> settings() {
    return List.of("");
  }

  @Override
  public boolean isChecked() {
    return false;
  }

  @Override
  public CheckSummary run(JobContext context) {
    Preflight.require(CHECKED, context);
    return new CheckSummary(CHECKED);
  }
}
