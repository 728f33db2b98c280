package io.github.kklip.jobs;

import java.util.Map;

/** Prints the settings that a job with the same arguments would use, without starting Spark. */
final class SettingsJob implements Job {
  @Override
  public Map<String, Object> run(JobContext context) {
    return Map.of("settings", context.settings().toString());
  }
}
