package io.github.kklip.eval;

import io.github.kklip.eval.EvaluationResult.Classification;
import io.github.kklip.eval.EvaluationResult.Direction;
import io.github.kklip.report.Chart;
import io.github.kklip.report.HtmlPage;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.SortedSet;
import java.util.TreeSet;

/**
 * Tables and bars of one or several evaluations side by side. Chance always stands beside the
 * figures: recall grows as the number of answers falls, so that a figure alone says little.
 */
final class Figures {
  private static final List<String> RECALLS = List.of("R@1", "R@5", "R@10");

  private final Map<String, EvaluationResult> results;

  /**
   * @param results by the name of the model, in the order to be shown
   */
  Figures(Map<String, EvaluationResult> results) {
    this.results = new LinkedHashMap<>(results);
  }

  private EvaluationResult first() {
    return results.values().iterator().next();
  }

  /** Retrieval in both directions: a table with a line for each model and for chance, and bars. */
  String retrieval() {
    return "<div class=\"grid\">"
        + retrievalTable("Text to image", EvaluationResult::textToImage)
        + retrievalTable("Image to text", EvaluationResult::imageToText)
        + bars(
            "A caption finds its image among " + first().textToImage().answers(),
            EvaluationResult::textToImage)
        + bars(
            "An image finds one of its captions among " + first().imageToText().answers(),
            EvaluationResult::imageToText)
        + "</div>";
  }

  private String retrievalTable(String title, OfResult of) {
    List<List<String>> rows = new ArrayList<>();
    results.forEach(
        (name, result) -> {
          Direction figures = of.direction(result);
          rows.add(row(name, percents(figures.recall()), List.of(number(figures.medianRank()))));
        });
    rows.add(row("chance", percents(of.direction(first()).chance()), List.of("")));
    return HtmlPage.table(row(title, RECALLS, List.of("median rank")), rows);
  }

  private interface OfResult {
    Direction direction(EvaluationResult result);
  }

  private String bars(String title, OfResult of) {
    List<Chart.Bars> bars = new ArrayList<>();
    results.forEach(
        (name, result) -> bars.add(new Chart.Bars(name, values(of.direction(result).recall()))));
    return Chart.percentages(title, RECALLS, bars, values(of.direction(first()).chance()));
  }

  /** Zero-shot classification, a table and bars for each of them; empty if there was none. */
  String zeroShot() {
    StringBuilder html = new StringBuilder();
    for (String task : tasks()) {
      List<List<String>> rows = zeroShotRows(task);
      Classification any = any(task);
      List<Chart.Bars> bars = new ArrayList<>();
      results.forEach(
          (name, result) -> {
            Classification figures = result.zeroShot().get(task);
            if (figures != null) {
              bars.add(new Chart.Bars(name, new double[] {figures.top1(), figures.top5()}));
            }
          });
      html.append("<div class=\"grid\"><div>");
      html.append(HtmlPage.table(rows.get(0), rows.subList(1, rows.size())));
      html.append("<p class=\"note\">");
      html.append(any.images()).append(" images in ").append(any.classes()).append(" classes");
      if (any.rejected() > 0) {
        html.append("; ").append(any.rejected()).append(" files are not readable images");
      }
      html.append(".</p></div>");
      double[] chance = {any.chanceTop1(), any.chanceTop5()};
      html.append(Chart.percentages(task, List.of("top 1", "top 5"), bars, chance));
      html.append("</div>\n");
    }
    return html.toString();
  }

  private SortedSet<String> tasks() {
    SortedSet<String> tasks = new TreeSet<>();
    results.values().forEach(result -> tasks.addAll(result.zeroShot().keySet()));
    return tasks;
  }

  /** The same figures for a terminal. */
  String text() {
    List<List<String>> rows = new ArrayList<>();
    List<String> header = new ArrayList<>(List.of("retrieval, percent"));
    RECALLS.forEach(recall -> header.add("text-image " + recall));
    RECALLS.forEach(recall -> header.add("image-text " + recall));
    rows.add(header);
    results.forEach(
        (name, result) ->
            rows.add(
                row(
                    name,
                    percents(result.textToImage().recall()),
                    percents(result.imageToText().recall()))));
    rows.add(
        row(
            "chance",
            percents(first().textToImage().chance()),
            percents(first().imageToText().chance())));
    StringBuilder text = new StringBuilder(aligned(rows));
    for (String task : tasks()) {
      text.append('\n').append(aligned(zeroShotRows(task)));
    }
    return text.toString();
  }

  /** A header, a line for each model that has the task, and chance. */
  private List<List<String>> zeroShotRows(String task) {
    List<List<String>> rows = new ArrayList<>();
    rows.add(List.of("zero-shot " + task + ", percent", "top 1", "top 5"));
    results.forEach(
        (name, result) -> {
          Classification figures = result.zeroShot().get(task);
          if (figures != null) {
            rows.add(List.of(name, percent(figures.top1()), percent(figures.top5())));
          }
        });
    Classification any = any(task);
    rows.add(List.of("chance", percent(any.chanceTop1()), percent(any.chanceTop5())));
    return rows;
  }

  private Classification any(String task) {
    return results.values().stream()
        .map(result -> result.zeroShot().get(task))
        .filter(Objects::nonNull)
        .findFirst()
        .orElseThrow();
  }

  private static String aligned(List<List<String>> rows) {
    StringBuilder text = new StringBuilder();
    for (List<String> row : rows) {
      for (int c = 0; c < row.size(); c++) {
        int column = c;
        int width = rows.stream().mapToInt(r -> r.get(column).length()).max().orElseThrow();
        String gap = " ".repeat(width - row.get(c).length());
        text.append(c == 0 ? row.get(c) + gap : "  " + gap + row.get(c));
      }
      text.append('\n');
    }
    return text.toString();
  }

  @SafeVarargs
  private static List<String> row(String name, List<String>... parts) {
    List<String> row = new ArrayList<>(List.of(name));
    for (List<String> part : parts) {
      row.addAll(part);
    }
    return row;
  }

  private static double[] values(Recall recall) {
    return new double[] {recall.r1(), recall.r5(), recall.r10()};
  }

  private static List<String> percents(Recall recall) {
    return List.of(percent(recall.r1()), percent(recall.r5()), percent(recall.r10()));
  }

  static String percent(double share) {
    return String.format(Locale.ROOT, "%.1f", 100 * share);
  }

  private static String number(double value) {
    return String.format(Locale.ROOT, value == Math.rint(value) ? "%.0f" : "%.1f", value);
  }
}
