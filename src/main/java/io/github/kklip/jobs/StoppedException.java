package io.github.kklip.jobs;

/** The job ended in good order before its end, because it was asked to. */
final class StoppedException extends Exception {
  private static final long serialVersionUID = 1L;

  StoppedException() {
    this("Stopped as asked. Start the same command to go on.");
  }

  StoppedException(String message) {
    super(message);
  }
}
