package io.github.kklip.jobs;

import io.github.kklip.config.SettingsException;
import io.github.kklip.ingest.IngestStage;
import java.util.List;

/**
 * Finds all that would keep {@code run} from its end. It starts nothing, but for a Spark session
 * where tables of its catalog are to be read.
 */
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
    List<String> problems = Preflight.problems(CHECKED, context);
    if (IngestStage.readsTables(context.settings())) {
      try {
        // Only a session knows its catalog; no row is read.
        IngestStage.requireTables(context.spark(), context.settings());
      } catch (SettingsException e) {
        problems.add(e.getMessage());
      }
    }
    if (!problems.isEmpty()) {
      throw new RefusedException(CHECKED, problems);
    }
    return new CheckSummary(CHECKED);
  }
}
