package io.github.kklip.concept;

import io.github.kklip.report.Chart;
import io.github.kklip.report.HtmlPage;
import io.github.kklip.store.ConceptManifest;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.publication.Publication;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import org.apache.hadoop.fs.Path;

/**
 * The page {@code concepts-CLUSTERING.html}: what each concept is, by the captions nearest to its
 * centre.
 */
final class ConceptPage {
  private ConceptPage() {}

  /** Its file. */
  static Path file(DatasetFolder folder, String name, ConceptManifest clustering) {
    return new Path(folder.concepts(name), "concepts-" + clustering.made() + ".html");
  }

  static void write(
      DatasetFolder folder,
      String name,
      ConceptManifest manifest,
      Quality quality,
      List<List<String>> captions)
      throws IOException {
    Publication.write(
        folder.configuration(),
        file(folder, name, manifest),
        html(manifest, quality, captions).getBytes(StandardCharsets.UTF_8));
  }

  static String html(ConceptManifest manifest, Quality quality, List<List<String>> captions) {
    long rows = manifest.sizes().stream().mapToLong(Long::longValue).sum();
    return new HtmlPage(
            manifest.k() + " concepts",
            "k-means over the "
                + manifest.teacher()
                + " embeddings of "
                + rows
                + " training captions. Each concept is shown by the captions nearest to its"
                + " centre.")
        .section("Summary", summary(manifest, quality, rows))
        .section("Progress and sizes", charts(manifest, quality))
        .section("Concepts, largest first", concepts(manifest, captions))
        .html();
  }

  private static String summary(ConceptManifest manifest, Quality quality, long rows) {
    int last = manifest.inertia().size() - 1;
    long empty = manifest.sizes().stream().filter(size -> size == 0).count();
    return HtmlPage.table(
        List.of("Quantity", "Value"),
        List.of(
            List.of("Training captions", Long.toString(rows)),
            List.of("Dimension of the embeddings", Integer.toString(manifest.dimension())),
            List.of("Lloyd iterations", Integer.toString(last)),
            List.of("Inertia (sum of squared distances)", number(manifest.inertia().get(last))),
            List.of("Mean squared distance", number(manifest.inertia().get(last) / rows)),
            List.of("Temperature of the soft labels", number(manifest.temperature())),
            List.of("Perplexity of the soft labels", number(manifest.perplexity())),
            List.of("Concepts kept in a label", Integer.toString(manifest.topK())),
            List.of("Mean mass that they hold", number(manifest.topMass())),
            List.of("Concepts without captions of their own", Long.toString(empty)),
            List.of(
                "Mean silhouette of " + quality.silhouetteRows() + " captions",
                number(quality.silhouette())),
            List.of("Pairs of captions of one image", Long.toString(quality.sameImagePairs())),
            List.of("Of these with the same first concept", number(quality.sameConcept())),
            List.of("The same of captions of any images", number(quality.sameConceptByChance()))));
  }

  private static String charts(ConceptManifest manifest, Quality quality) {
    double[] inertia = manifest.inertia().stream().mapToDouble(Double::doubleValue).toArray();
    double[] sizes =
        manifest.sizes().stream()
            .sorted(Comparator.reverseOrder())
            .mapToDouble(Long::doubleValue)
            .toArray();
    return "<div class=\"grid\">"
        + Chart.lines(
            "Inertia by iteration",
            "iteration",
            List.of(new Chart.Line("inertia", counting(inertia.length), inertia)))
        + Chart.lines(
            "Captions of each concept, largest first",
            "concept",
            List.of(new Chart.Line("captions", counting(sizes.length), sizes)))
        + Chart.lines(
            "Captions by the perplexity of their soft label",
            "perplexity (lower edge of a bin)",
            List.of(
                new Chart.Line(
                    "captions",
                    quality.perplexityEdges().stream()
                        .limit(quality.perplexityRows().size())
                        .mapToDouble(Double::doubleValue)
                        .toArray(),
                    quality.perplexityRows().stream().mapToDouble(Long::doubleValue).toArray())))
        + "</div>";
  }

  private static double[] counting(int length) {
    return IntStream.range(0, length).mapToDouble(i -> i).toArray();
  }

  private static String concepts(ConceptManifest manifest, List<List<String>> captions) {
    List<Long> sizes = manifest.sizes();
    long largest = sizes.stream().mapToLong(Long::longValue).max().orElse(1);
    StringBuilder cards = new StringBuilder("<div class=\"concepts\">\n");
    IntStream.range(0, manifest.k())
        .boxed()
        .sorted(Comparator.comparing((Integer c) -> -sizes.get(c)))
        .forEach(c -> cards.append(card(c, sizes.get(c), largest, captions.get(c))));
    return cards.append("</div>").toString();
  }

  private static String card(int concept, long size, long largest, List<String> captions) {
    StringBuilder card = new StringBuilder("<div class=\"card\"><b>Concept ").append(concept);
    card.append("</b><span class=\"size\">").append(size).append(" captions</span>");
    card.append("<div class=\"bar\"><i style=\"width:")
        .append(String.format(Locale.ROOT, "%.1f", 100.0 * size / largest))
        .append("%\"></i></div><ul>");
    captions.forEach(
        caption -> card.append("<li>").append(HtmlPage.escape(caption)).append("</li>"));
    return card.append("</ul></div>\n").toString();
  }

  private static String number(double value) {
    return String.format(Locale.ROOT, "%.5g", value);
  }
}
