package io.github.kklip.jobs;

import io.github.kklip.check.CheckResult;
import io.github.kklip.check.Checks;
import io.github.kklip.check.Machine;
import io.github.kklip.config.Settings;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.apache.hadoop.conf.Configuration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Finds what will keep a job from its end, before it begins and before Spark starts. */
final class Preflight {
  private static final Logger LOG = LoggerFactory.getLogger(Preflight.class);

  private Preflight() {}

  /**
   * Lets a job begin only without problems; warnings go to the log.
   *
   * @param job the context's own, or another one
   * @throws RefusedException with all of them
   */
  static void require(String job, JobContext context) {
    List<String> problems = problems(job, context);
    if (!problems.isEmpty()) {
      throw new RefusedException(job, problems);
    }
  }

  /** All problems of a job. */
  static List<String> problems(String job, JobContext context) {
    List<Settings> all =
        job.equals("demo") ? DemoJob.variants(context) : List.of(context.settings());
    Configuration configuration = context.hadoopBeforeSpark();
    Machine machine = context.machine();
    Set<String> problems = new LinkedHashSet<>();
    Set<String> warnings = new LinkedHashSet<>();
    for (Settings settings : all) {
      CheckResult result = Checks.of(job, settings, configuration, machine);
      problems.addAll(result.problems());
      warnings.addAll(result.warnings());
    }
    warnings.forEach(LOG::warn);
    return new ArrayList<>(problems);
  }
}
