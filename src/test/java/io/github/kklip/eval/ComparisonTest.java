package io.github.kklip.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.eval.EvaluationResult.Classification;
import io.github.kklip.eval.EvaluationResult.Direction;
import io.github.kklip.store.Split;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

class ComparisonTest {
  private static EvaluationResult result(String model, double r1, int images) {
    Direction direction =
        new Direction(new Recall(r1, 0.5, 0.75), new Recall(0.01, 0.05, 0.1), images, images, 7.5);
    return new EvaluationResult(
        model,
        "/data",
        Split.VALIDATION,
        images,
        2 * images,
        0,
        direction,
        direction,
        new TreeMap<>(Map.of("shapes", new Classification(r1, 1, 0.1, 0.5, 50, 10, 1))),
        "/report.html");
  }

  private static Map<String, EvaluationResult> both() {
    Map<String, EvaluationResult> results = new LinkedHashMap<>();
    results.put("CLIP", result("/runs/clip", 0.123, 100));
    results.put("KKLIP", result("/runs/<kklip>", 0.25, 100));
    return results;
  }

  @Test
  void tableForTheTerminal() {
    assertThat(Comparison.table(both()))
        .isEqualTo(
            """
            retrieval, percent  text-image R@1  text-image R@5  text-image R@10  image-text R@1  image-text R@5  image-text R@10
            CLIP                          12.3            50.0             75.0            12.3            50.0             75.0
            KKLIP                         25.0            50.0             75.0            25.0            50.0             75.0
            chance                         1.0             5.0             10.0             1.0             5.0             10.0

            zero-shot shapes, percent  top 1  top 5
            CLIP                        12.3  100.0
            KKLIP                       25.0  100.0
            chance                      10.0   50.0
            """);
  }

  @Test
  void pageHasTheFiguresAndTheCurvesOfBoth() {
    History history = new History(new double[] {1, 2}, Map.of("loss", new double[] {3, 2}));
    String page =
        Comparison.html("Same <budget>.", both(), Map.of("CLIP", history, "KKLIP", history));
    assertThat(page)
        .contains("CLIP and KKLIP compared", "Same &lt;budget&gt;.", "100 validation images")
        .contains("1 files are not readable images", "weighted sum of the parts")
        .doesNotContain("NaN");
    assertThat(page.split("<path ", -1)).hasSize(3);
  }

  @Test
  void refusesModelsThatSawOtherData() {
    Map<String, EvaluationResult> results = both();
    results.put("other", result("/runs/other", 0.3, 99));
    assertThatThrownBy(() -> Comparison.table(results))
        .hasMessage(
            "Cannot compare other because it was evaluated on other data: 99 images of /data instead"
                + " of 100 of /data. Evaluate all models on one dataset.");
  }
}
