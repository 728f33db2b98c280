package io.github.kklip.jobs;

import io.github.kklip.upkeep.CleanResult;
import io.github.kklip.upkeep.CleanStage;
import java.io.IOException;
import java.util.List;
import java.util.Optional;

/** Lists what the dataset's folder holds that nothing needs, and deletes it when told to. */
final class CleanJob implements Job<CleanResult> {
  private static final String YES = "--yes";
  private static final String FORGET = "--forget";
  private static final String REMOVED_NOW = "--removed-now";

  @Override
  public String purpose() {
    return "Lists files of the dataset's folder that nothing needs; --yes deletes them.";
  }

  @Override
  public List<String> settings() {
    return List.of("dataset", "lease-expiry", "clean");
  }

  @Override
  public List<JobOption> options() {
    return List.of(
        new JobOption(YES, "", "Delete what is listed as an orphan."),
        new JobOption(
            FORGET,
            "RUN",
            "Remove the registration of a run, by its output or its name: its files are no longer kept."),
        new JobOption(
            REMOVED_NOW,
            "",
            "What a takedown replaced and no registered run uses goes without waiting."));
  }

  @Override
  public boolean isChecked() {
    return false;
  }

  @Override
  public CleanResult run(JobContext context) throws IOException {
    Arguments arguments = context.arguments();
    return CleanStage.run(
        context.settings(),
        context.hadoopBeforeSpark(),
        new CleanStage.Request(
            arguments.has(YES),
            Optional.ofNullable(arguments.options().get(FORGET)),
            arguments.has(REMOVED_NOW)));
  }

  @Override
  public List<String> lines(CleanResult result) {
    return result.lines();
  }
}
