package io.github.kklip.eval;

import static io.github.kklip.config.Message.message;

import io.github.kklip.report.HtmlPage;
import java.io.IOException;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/** Several models that were evaluated on the same data, side by side. */
public final class Comparison {
  private Comparison() {}

  /**
   * The figures as a table for a terminal, chance in the last line of each part.
   *
   * @param results by the name of the model, in the order to be shown
   * @throws IllegalArgumentException if they are of different data
   */
  public static String table(Map<String, EvaluationResult> results) {
    refuseDifferentData(results);
    return new Figures(results).text();
  }

  /**
   * Writes the page of the comparison.
   *
   * @param lead what is compared, plain text
   * @param histories loss curves by the same names; a model without any may be missing
   */
  public static void write(
      Configuration configuration,
      Path path,
      String lead,
      Map<String, EvaluationResult> results,
      Map<String, History> histories)
      throws IOException {
    ReportPage.write(configuration, path, html(lead, results, histories));
  }

  static String html(
      String lead, Map<String, EvaluationResult> results, Map<String, History> histories) {
    refuseDifferentData(results);
    Figures figures = new Figures(results);
    EvaluationResult any = results.values().iterator().next();
    HtmlPage page = new HtmlPage(String.join(" and ", results.keySet()) + " compared", lead);
    page.section(
        "Retrieval",
        figures.retrieval()
            + "<p class=\"note\">"
            + any.images()
            + " "
            + any.split().keyword()
            + " images with "
            + any.captions()
            + " captions. Percent of the queries whose first hit is among the first 1, 5 or 10"
            + " answers. Ties count against the model.</p>");
    if (results.values().stream().anyMatch(result -> !result.zeroShot().isEmpty())) {
      page.section("Zero-shot classification", figures.zeroShot());
    }
    if (histories.values().stream().anyMatch(history -> history.steps().length > 0)) {
      page.section("Training", ReportPage.curves(histories));
    }
    return page.html();
  }

  private static void refuseDifferentData(Map<String, EvaluationResult> results) {
    EvaluationResult first = results.values().iterator().next();
    results.forEach(
        (name, result) -> {
          if (!result.dataset().equals(first.dataset())
              || result.images() != first.images()
              || result.captions() != first.captions()) {
            throw new IllegalArgumentException(
                message(
                    "Cannot compare %s because it was evaluated on other data: %s images of %s instead of %s of %s. Evaluate all models on one dataset.",
                    name, result.images(), result.dataset(), first.images(), first.dataset()));
          }
        });
  }
}
