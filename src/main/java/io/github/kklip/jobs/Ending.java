package io.github.kklip.jobs;

import com.fasterxml.jackson.annotation.JsonUnwrapped;
import io.github.kklip.config.SettingsException;
import io.github.kklip.store.publication.LeaseHeldException;
import io.github.kklip.tasks.SparkFailures;
import io.github.kklip.text.TokenizerException;
import java.util.List;
import java.util.Map;

/**
 * How a job ended: what the RESULT line says.
 *
 * @param exit status of the process
 * @param result the job's record; null when it gave none
 * @param problems that were found before the job began; null when none were looked for or found
 * @param stage that failed; null when the job has none
 * @param stages what those before it gave
 * @param error what went wrong, in one line; null when nothing did
 */
record Ending(
    String job,
    Status status,
    int exit,
    @JsonUnwrapped Record result,
    List<String> problems,
    String stage,
    Map<String, StageSummary> stages,
    String error,
    double seconds) {

  static <R extends Record> Ending of(String name, Job<R> job, R result, double seconds) {
    String failure = job.failure(result).orElse(null);
    Status status = failure == null ? Status.DONE : Status.FAILED;
    return new Ending(
        name, status, status.exit(), result, null, null, null, oneLine(failure), seconds);
  }

  /**
   * The end by an exception.
   *
   * @param stopped whether the job was asked to stop: then whatever it threw came of that
   */
  static Ending of(String job, Throwable thrown, boolean stopped, double seconds) {
    StageFailedException failed = thrown instanceof StageFailedException e ? e : null;
    Throwable cause = failed == null ? thrown : failed.getCause();
    Status status = status(cause, stopped);
    String text =
        status == Status.STOPPED && !(cause instanceof StoppedException)
            ? new StoppedException().getMessage()
            : text(cause);
    return new Ending(
        job,
        status,
        status.exit(),
        null,
        cause instanceof RefusedException refused ? refused.problems() : null,
        failed == null ? null : failed.stage(),
        failed == null ? null : failed.before(),
        oneLine(text),
        seconds);
  }

  private static Status status(Throwable cause, boolean stopped) {
    if (cause instanceof StoppedException || stopped) {
      return Status.STOPPED;
    }
    return cause instanceof SettingsException
            || cause instanceof LeaseHeldException
            || cause instanceof TokenizerException
        ? Status.REFUSED
        : Status.FAILED;
  }

  /** What a person has to know of it: not where Spark noticed it. */
  static String text(Throwable thrown) {
    return SparkFailures.message(
        thrown instanceof StageFailedException ? thrown.getCause() : thrown);
  }

  private static String oneLine(String text) {
    return text == null ? null : text.strip().replaceAll("\\s*\\R\\s*", " ");
  }
}
