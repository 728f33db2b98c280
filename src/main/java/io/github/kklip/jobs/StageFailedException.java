package io.github.kklip.jobs;

import java.util.Map;

/** One of a job's stages failed, was refused or was stopped; the cause says which. */
final class StageFailedException extends Exception {
  private static final long serialVersionUID = 1L;

  private final String stage;
  private final transient Map<String, StageSummary> before;

  StageFailedException(String stage, Map<String, StageSummary> before, Throwable cause) {
    super(cause.getMessage(), cause);
    this.stage = stage;
    this.before = before;
  }

  String stage() {
    return stage;
  }

  /** What the stages before it gave. */
  Map<String, StageSummary> before() {
    return before;
  }
}
