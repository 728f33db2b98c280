package io.github.kklip.jobs;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Runs the stages of a job one after the other and keeps what each gave. */
final class StageResults {
  private static final Logger LOG = LoggerFactory.getLogger(StageResults.class);

  private final Map<String, StageSummary> stages = new LinkedHashMap<>();

  /** A stage's work. */
  interface StageWork<R extends Record> {
    R run() throws Exception;
  }

  /**
   * Runs a stage.
   *
   * @throws StageFailedException when it fails, with the results of those before it
   */
  <R extends Record> R run(String name, StopSignal stop, StageWork<R> work)
      throws StageFailedException {
    LOG.info("{} begins", name);
    long start = System.nanoTime();
    try {
      stop.check();
      R result = work.run();
      StageSummary stage =
          new StageSummary(result, Math.round((System.nanoTime() - start) / 1e6) / 1e3);
      stages.put(name, stage);
      LOG.info("{} done: {}", name, Results.line(stage));
      return result;
    } catch (Exception | LinkageError e) {
      throw new StageFailedException(name, all(), e);
    }
  }

  /** The results so far, in their order. */
  Map<String, StageSummary> all() {
    return Collections.unmodifiableMap(new LinkedHashMap<>(stages));
  }
}
