package io.github.kklip.jobs;

import java.util.List;
import java.util.Optional;

/**
 * Prints the settings that a job with the same arguments would use, as HOCON that {@code --conf}
 * takes, without starting Spark.
 */
final class SettingsJob implements Job<SettingsSummary> {
  private static final String CHANGED = "--changed";

  @Override
  public List<JobOption> options() {
    return List.of(new JobOption(CHANGED, "", "Only the settings that differ from the defaults."));
  }

  @Override
  public String purpose() {
    return "Prints the settings that the same arguments would give a job, as a file for --conf.";
  }

  @Override
  public List<String> settings() {
    return List.of();
  }

  @Override
  public boolean isChecked() {
    return false;
  }

  @Override
  public SettingsSummary run(JobContext context) {
    return new SettingsSummary(context.settings().toHocon(context.arguments().has(CHANGED)));
  }

  @Override
  public Optional<String> output(SettingsSummary result) {
    return Optional.of(result.settings());
  }
}
