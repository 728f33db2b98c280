package io.github.kklip.jobs;

import java.util.List;

/** What the words of a command line ask for. */
sealed interface Command {
  /** A text for standard output: help, version, completion. */
  record Show(String text) implements Command {}

  /** A job in this process. */
  record Run(Arguments arguments) implements Command {}

  /**
   * A job through spark-submit.
   *
   * @param forwarded what else spark-submit gets
   */
  record Submit(Arguments arguments, List<String> forwarded) implements Command {}
}
