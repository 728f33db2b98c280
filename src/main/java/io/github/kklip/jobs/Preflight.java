package io.github.kklip.jobs;

import io.github.kklip.check.Checks;
import io.github.kklip.check.HostChecks;
import io.github.kklip.check.Machine;
import io.github.kklip.config.Settings;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/** Finds what will keep a job from its end, before it begins and before Spark starts. */
final class Preflight {
  private Preflight() {}

  /**
   * Lets a job begin only without problems.
   *
   * @param job the context's own, or another one
   * @throws RefusedException with all of them
   */
  static void require(String job, JobContext context) {
    List<Settings> all =
        job.equals("demo") ? DemoJob.variants(context) : List.of(context.settings());
    Machine machine = context.machine();
    Set<String> problems = new LinkedHashSet<>();
    if (!context.isWithinSession()) {
      // Without these no file system can be asked for anything.
      problems.addAll(HostChecks.of(machine.spark()));
    }
    if (!problems.isEmpty()) {
      throw new RefusedException(job, new ArrayList<>(problems));
    }
    for (Settings settings : all) {
      problems.addAll(Checks.of(job, settings, context.hadoopBeforeSpark(), machine));
    }
    if (!problems.isEmpty()) {
      throw new RefusedException(job, new ArrayList<>(problems));
    }
  }
}
