package io.github.kklip.eval;

import io.github.kklip.report.Chart;
import io.github.kklip.report.HtmlPage;
import io.github.kklip.store.publication.Publication;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/** The page {@code report.html}: figures, curves and examples of one evaluation. */
final class ReportPage {
  private ReportPage() {}

  static void write(
      Configuration configuration,
      Path path,
      EvaluationResult result,
      History history,
      double[] conceptSizes,
      Examples examples)
      throws IOException {
    write(configuration, path, html(result, history, conceptSizes, examples));
  }

  static void write(Configuration configuration, Path path, String html) throws IOException {
    Publication.write(configuration, path, html.getBytes(StandardCharsets.UTF_8));
  }

  static String html(
      EvaluationResult result, History history, double[] conceptSizes, Examples examples) {
    Figures figures = new Figures(Map.of("this model", result));
    HtmlPage page =
        new HtmlPage(
            "Evaluation of a CLIP model",
            result.model()
                + ", on the "
                + result.split().keyword()
                + " split of "
                + result.dataset());
    page.section("Retrieval", figures.retrieval() + counts(result));
    if (!result.zeroShot().isEmpty()) {
      page.section("Zero-shot classification", figures.zeroShot());
    }
    if (history.steps().length > 0) {
      page.section("Training", curves(Map.of("this model", history)));
    }
    if (conceptSizes.length > 0) {
      page.section("Concepts", sizes(conceptSizes));
    }
    if (!examples.textToImage().isEmpty()) {
      page.section(
          "Captions and the images that the model finds",
          "<p class=\"note\">Evenly spread over the split, not picked. Best first; the caption's own"
              + " image is framed.</p>\n"
              + textToImage(result, examples));
      page.section(
          "Images and the captions that the model finds",
          "<p class=\"note\">The same images. Best first; the image's own captions are"
              + " coloured.</p>\n"
              + imageToText(result, examples));
    }
    return page.html();
  }

  private static String counts(EvaluationResult result) {
    return "<p class=\"note\">"
        + result.images()
        + " images with "
        + result.captions()
        + " captions"
        + (result.skipped() > 0
            ? "; " + result.skipped() + " further images are over evaluate.max-images"
            : "")
        + ". Percent of the queries whose first hit is among the first 1, 5 or 10 answers; from an"
        + " image to text any of its captions is a hit. Ties count against the model. Chance is a"
        + " random order of the same answers.</p>";
  }

  /** One plot for each loss, one line for each run. */
  static String curves(Map<String, History> runs) {
    Map<String, List<Chart.Line>> plots = new LinkedHashMap<>();
    plots.put("loss", new ArrayList<>());
    runs.forEach(
        (name, history) ->
            history
                .losses()
                .forEach(
                    (loss, values) ->
                        plots
                            .computeIfAbsent(loss, key -> new ArrayList<>())
                            .add(new Chart.Line(name, history.steps(), values))));
    StringBuilder html = new StringBuilder("<div class=\"grid\">");
    plots.forEach((loss, lines) -> html.append(Chart.lines(title(loss), "step", lines)));
    return html.append("</div>").toString();
  }

  private static String title(String loss) {
    return switch (loss) {
      case "loss" -> "Loss: weighted sum of the parts";
      case "emb" -> "Part emb: distance to the teacher's embedding";
      case "concept" -> "Part concept: cross-entropy with the soft labels";
      case "contrastive" -> "Part contrastive: InfoNCE";
      default -> "Part " + loss;
    };
  }

  private static String sizes(double[] conceptSizes) {
    double[] falling = conceptSizes.clone();
    Arrays.sort(falling);
    for (int i = 0; i < falling.length / 2; i++) {
      double swapped = falling[i];
      falling[i] = falling[falling.length - 1 - i];
      falling[falling.length - 1 - i] = swapped;
    }
    double[] rank = IntStream.rangeClosed(1, falling.length).mapToDouble(i -> i).toArray();
    return "<div class=\"grid\">"
        + Chart.lines(
            "Training captions of each of the " + falling.length + " concepts, largest first",
            "concept",
            List.of(new Chart.Line("captions", rank, falling)))
        + "</div>";
  }

  private static String textToImage(EvaluationResult result, Examples examples) {
    StringBuilder html = new StringBuilder();
    for (Examples.Images example : examples.textToImage()) {
      html.append("<div class=\"card example\"><div>");
      html.append(picture(examples, example.truth()));
      html.append("</div><div><h3>").append(HtmlPage.escape(example.caption()));
      html.append("</h3><p class=\"note\">")
          .append(place("Its image", example.rank(), result.images()));
      html.append("</p><div class=\"strip\">");
      for (int image : example.images()) {
        html.append(image == example.truth() ? "<figure class=\"hit\">" : "<figure>");
        html.append(picture(examples, image)).append("</figure>");
      }
      html.append("</div></div></div>\n");
    }
    return "<div class=\"grid\">" + html + "</div>";
  }

  private static String imageToText(EvaluationResult result, Examples examples) {
    StringBuilder html = new StringBuilder();
    for (Examples.ShownCaptions example : examples.imageToText()) {
      html.append("<div class=\"card example\"><div>");
      html.append(picture(examples, example.image()));
      html.append("</div><div><p class=\"note\">");
      html.append(place("Its first caption", example.rank(), result.captions())).append("</p><ol>");
      for (int i = 0; i < example.captions().size(); i++) {
        html.append(example.own().get(i) ? "<li class=\"hit\">" : "<li>");
        html.append(HtmlPage.escape(example.captions().get(i))).append("</li>");
      }
      html.append("</ol></div></div>\n");
    }
    return "<div class=\"grid\">" + html + "</div>";
  }

  private static String place(String what, int rank, int answers) {
    return what + " is at place " + rank + " of " + answers + ".";
  }

  private static String picture(Examples examples, int image) {
    return "<img alt=\"image " + image + "\" src=\"" + examples.pictures().get(image) + "\">";
  }
}
