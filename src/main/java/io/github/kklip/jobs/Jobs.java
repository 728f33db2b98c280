package io.github.kklip.jobs;

import java.util.LinkedHashMap;
import java.util.Map;

/** The jobs by their name on the command line, in the order of the help. */
final class Jobs {
  private Jobs() {}

  static Map<String, Job<?>> all() {
    Map<String, Job<?>> jobs = new LinkedHashMap<>();
    jobs.put("doctor", new DoctorJob());
    jobs.put("check", new CheckJob());
    jobs.putAll(StageJobs.all());
    jobs.put("run", new RunJob());
    jobs.putAll(DatasetJobs.all());
    jobs.put("demo", new DemoJob());
    jobs.put("settings", new SettingsJob());
    return jobs;
  }
}
