package io.github.kklip.jobs;

import io.github.kklip.eval.Evaluation;
import io.github.kklip.eval.EvaluationSummary;
import java.util.List;

/** Evaluates a model on the test or validation split and writes its report. */
final class EvaluateJob implements Job<EvaluationSummary> {
  @Override
  public String purpose() {
    return "Measures retrieval on the test or validation split and zero-shot classification.";
  }

  @Override
  public List<String> settings() {
    return List.of(
        "dataset", "threads", "concepts.name", "student.tokenizer", "train.output", "evaluate");
  }

  @Override
  public EvaluationSummary run(JobContext context) throws Exception {
    return Evaluation.run(context.settings(), context.hadoop()).summary();
  }
}
