package io.github.kklip.eval;

import io.github.kklip.store.Split;
import java.util.SortedMap;

/**
 * The main figures of one evaluation; all of them are in {@code report.json}.
 *
 * @param model what was evaluated
 * @param split that it was evaluated on
 * @param images of the split
 * @param captions their captions
 * @param zeroShot by the name of the classification
 * @param report path of the HTML report
 */
public record EvaluationSummary(
    String model,
    Split split,
    int images,
    int captions,
    RetrievalSummary retrieval,
    SortedMap<String, Accuracy> zeroShot,
    String report) {

  /** Recall in both directions. */
  public record RetrievalSummary(Recall imageToText, Recall textToImage) {}

  /** Share of the images whose class is the first, or among the first five. */
  public record Accuracy(double top1, double top5) {}
}
