package io.github.kklip.jobs;

import java.util.List;
import java.util.Optional;

/**
 * One job of {@code spark-jobs/kklip}.
 *
 * @param <R> the record of what it did, which the RESULT line is made from
 */
interface Job<R extends Record> {
  /** What it does, in one sentence for the help. */
  String purpose();

  /**
   * The settings that it reads: keys and sections, relative to {@code kklip.}; an empty text stands
   * for all.
   */
  List<String> settings();

  /** Options that it alone has. */
  default List<JobOption> options() {
    return List.of();
  }

  /** What its words without a name are, for the help; those in brackets may be left out. */
  default List<String> words() {
    return List.of();
  }

  /** Whether it begins only when nothing is known to keep it from its end. */
  default boolean isChecked() {
    return true;
  }

  /** Does all the job was asked to, or throws. */
  R run(JobContext context) throws Exception;

  /** What went wrong, when the record tells of a failure. */
  default Optional<String> failure(R result) {
    return Optional.empty();
  }

  /** What stands on standard output before the RESULT line. */
  default List<String> lines(R result) {
    return List.of();
  }

  /** What stands on standard output in place of the RESULT line, when it went well. */
  default Optional<String> output(R result) {
    return Optional.empty();
  }
}
