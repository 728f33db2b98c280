package io.github.kklip.jobs;

import io.github.kklip.config.Settings;
import java.util.List;
import org.apache.hadoop.conf.Configuration;

/** Finds what will keep a job from its end, before it begins and before Spark starts. */
@FunctionalInterface
interface Preflight {
  /** All that can be known. */
  Preflight CHECKS = (job, settings, configuration, cores) -> List.of();

  /**
   * The problems, each as a sentence with what to do; empty when there are none.
   *
   * @param configuration of the file systems
   * @param cores of this machine
   */
  List<String> problems(String job, Settings settings, Configuration configuration, int cores);

  /**
   * The problems of a job.
   *
   * @param job the context's own, or another one
   */
  static List<String> of(String job, JobContext context) {
    return CHECKS.problems(
        job,
        context.settings(),
        context.hadoopBeforeSpark(),
        Runtime.getRuntime().availableProcessors());
  }

  /**
   * Lets a job begin only without problems.
   *
   * @throws RefusedException with all of them
   */
  static void require(String job, JobContext context) {
    List<String> problems = of(job, context);
    if (!problems.isEmpty()) {
      throw new RefusedException(job, problems);
    }
  }
}
