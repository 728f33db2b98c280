package io.github.kklip.jobs;

import java.util.Map;

/** One job of {@code spark-jobs/kklip}. */
interface Job {
  /**
   * Does all the job was asked to, or throws.
   *
   * @return the fields of the RESULT line, in order; {@link Main} adds {@code job} and {@code
   *     seconds}. With {@code error} among them the job ends with status 1
   */
  Map<String, Object> run(JobContext context) throws Exception;
}
