package io.github.kklip.jobs;

import io.github.kklip.eval.Evaluation;
import java.util.Map;

/** Evaluates a model on the validation split and writes its report. */
final class EvaluateJob implements Job {
  @Override
  public Map<String, Object> run(JobContext context) throws Exception {
    return Evaluation.run(context.settings(), context.hadoop()).fields();
  }
}
