package io.github.kklip.eval;

import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * The figures of one evaluation, as they stand in {@code report.json}.
 *
 * @param model what was evaluated
 * @param images validation images
 * @param captions their captions
 * @param skipped images of the validation split beyond {@code evaluate.max-images}
 * @param zeroShot by the name of the classification
 * @param report path of the HTML report
 */
public record EvaluationResult(
    String model,
    String dataset,
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
      Recall recall, Recall chance, int queries, int answers, double medianRank) {

    Map<String, Object> fields() {
      return Map.of("r1", recall.r1(), "r5", recall.r5(), "r10", recall.r10());
    }
  }

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
      int rejected) {

    Map<String, Object> fields() {
      return Map.of("top1", top1, "top5", top5);
    }
  }

  /** The fields of the RESULT line. */
  public Map<String, Object> fields() {
    Map<String, Object> classifications = new TreeMap<>();
    zeroShot.forEach((name, figures) -> classifications.put(name, figures.fields()));
    Map<String, Object> fields = new java.util.LinkedHashMap<>();
    fields.put("model", model);
    fields.put("images", images);
    fields.put("captions", captions);
    fields.put(
        "retrieval",
        new TreeMap<>(
            Map.of("text_to_image", textToImage.fields(), "image_to_text", imageToText.fields())));
    fields.put("zero_shot", classifications);
    fields.put("report", report);
    return fields;
  }
}
