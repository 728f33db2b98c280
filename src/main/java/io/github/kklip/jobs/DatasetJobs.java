package io.github.kklip.jobs;

import java.util.LinkedHashMap;
import java.util.Map;

/** The jobs that look after a dataset that is there. */
final class DatasetJobs {
  private DatasetJobs() {}

  /** By name. */
  static Map<String, Job<?>> all() {
    Map<String, Job<?>> jobs = new LinkedHashMap<>();
    jobs.put("files", new FilesJob());
    jobs.put("compact", new CompactJob());
    jobs.put("remove", new RemoveJob());
    jobs.put("clean", new CleanJob());
    return jobs;
  }
}
