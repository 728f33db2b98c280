package io.github.kklip.tasks;

import java.io.UncheckedIOException;
import java.util.concurrent.ExecutionException;
import org.apache.spark.SparkException;

/** Finds in Spark's exceptions what a person has to know. */
public final class SparkFailures {
  private SparkFailures() {}

  /** The failure of the task inside the failure of the job. */
  static Throwable cause(Throwable failure) {
    Throwable e = failure;
    while (e.getCause() != null
        && (e instanceof SparkException
            || e instanceof ExecutionException
            || e instanceof UncheckedIOException
            || e.getMessage() == null)) {
      e = e.getCause();
    }
    return e;
  }

  /** Its message, or what it is when it has none, in one line without Spark's stack traces. */
  public static String message(Throwable failure) {
    Throwable cause = cause(failure);
    String text = cause.getMessage() == null ? cause.toString() : cause.getMessage();
    int end = text.indexOf("\nDriver stacktrace:");
    String shorter = end < 0 ? text : text.substring(0, end);
    int stack = shorter.indexOf("\n\tat ");
    return stack < 0 ? shorter.strip() : shorter.substring(0, stack).strip();
  }
}
