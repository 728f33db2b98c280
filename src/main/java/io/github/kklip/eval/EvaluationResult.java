package io.github.kklip.eval;

import io.github.kklip.store.Split;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * The figures of one evaluation, as they stand in {@code report.json}.
 *
 * @param model what was evaluated
 * @param split that it was evaluated on
 * @param images of the split
 * @param captions their captions
 * @param skipped images of the split beyond {@code evaluate.max-images}
 * @param zeroShot by the name of the classification
 * @param report path of the HTML report
 */
public record EvaluationResult(
    String model,
    String dataset,
    Split split,
    int images,
    int captions,
    long skipped,
    Direction textToImage,
    Direction imageToText,
    SortedMap<String, Classification> zeroShot,
    String report) {

  public EvaluationResult {
    zeroShot = java.util.Collections.unmodifiableSortedMap(new TreeMap<>(zeroShot));
  }

  /**
   * One direction of retrieval.
   *
   * @param queries how many were asked
   * @param answers how many there were to choose from
   * @param medianRank median place of the first hit, from 1
   * @param chance recall of a random order
   */
  public record Direction(
      Recall recall, Recall chance, int queries, int answers, double medianRank) {}

  /**
   * One zero-shot classification.
   *
   * @param rejected files that are no readable images
   * @param chanceTop1 what guessing gives
   */
  public record Classification(
      double top1,
      double top5,
      double chanceTop1,
      double chanceTop5,
      int images,
      int classes,
      int rejected) {}

  /** The figures that a RESULT line has of it. */
  public EvaluationSummary summary() {
    SortedMap<String, EvaluationSummary.Accuracy> accuracies = new TreeMap<>();
    zeroShot.forEach(
        (name, figures) ->
            accuracies.put(name, new EvaluationSummary.Accuracy(figures.top1(), figures.top5())));
    return new EvaluationSummary(
        model,
        split,
        images,
        captions,
        new EvaluationSummary.RetrievalSummary(imageToText.recall(), textToImage.recall()),
        accuracies,
        report);
  }
}
