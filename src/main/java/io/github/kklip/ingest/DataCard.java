package io.github.kklip.ingest;

import io.github.kklip.image.Thumbnail;
import io.github.kklip.report.Chart;
import io.github.kklip.report.HtmlPage;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.Pair;
import io.github.kklip.store.Reject;
import io.github.kklip.store.Shard;
import io.github.kklip.store.publication.PortableConfiguration;
import io.github.kklip.store.publication.Publication;
import io.github.kklip.store.publication.Storage;
import io.github.kklip.store.shards.PairFormat;
import io.github.kklip.store.shards.RejectFormat;
import io.github.kklip.store.shards.ShardReader;
import java.io.IOException;
import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.spark.api.java.JavaSparkContext;

/**
 * The page {@code card.html}: what a dataset holds, where it came from and what was left out. It
 * needs no network: images stand in it as small JPEGs.
 */
public final class DataCard {
  static final String FILE = "card.html";

  private static final int EXAMPLES_OF_A_REASON = 5;
  private static final int REJECT_FILES = 64;
  private static final int LONGEST_TEXT = 200;
  private static final int IMAGES = 24;
  private static final int THUMBNAIL = 120;

  /** Bins are powers of 2^(1/2). */
  private static final int BINS = 48;

  private DataCard() {}

  /** Counts of one shard's rows by the size of the image and the length of the caption. */
  private record Sizes(long[] sides, long[] lengths) implements Serializable {
    static Sizes none() {
      return new Sizes(new long[BINS], new long[BINS]);
    }

    Sizes plus(Sizes other) {
      Sizes sum = none();
      for (int i = 0; i < BINS; i++) {
        sum.sides[i] = sides[i] + other.sides[i];
        sum.lengths[i] = lengths[i] + other.lengths[i];
      }
      return sum;
    }
  }

  /** Writes the page unless there is one: a job may have been killed after its first commit. */
  static void writeIfMissing(JavaSparkContext spark, DatasetFolder folder, DatasetManifest manifest)
      throws IOException {
    Path page = new Path(folder.root(), FILE);
    if (!Storage.of(folder.configuration(), page).exists(page)) {
      write(spark, folder, manifest);
    }
  }

  /** Writes the page of what a manifest names. */
  public static void write(JavaSparkContext spark, DatasetFolder folder, DatasetManifest manifest)
      throws IOException {
    PortableConfiguration hadoop = new PortableConfiguration(folder.configuration());
    List<String> shards =
        manifest.shards().stream().map(shard -> folder.pairs(shard).toString()).toList();
    Sizes sizes =
        shards.isEmpty()
            ? Sizes.none()
            : spark
                .parallelize(shards, Math.min(shards.size(), 4 * spark.defaultParallelism()))
                .map(path -> sizes(hadoop.get(), path))
                .reduce(Sizes::plus);
    String page = html(manifest, sizes, examples(folder, manifest), images(folder, manifest));
    Publication.write(
        folder.configuration(),
        new Path(folder.root(), FILE),
        page.getBytes(StandardCharsets.UTF_8));
  }

  private static Sizes sizes(Configuration configuration, String path) throws IOException {
    Sizes sizes = Sizes.none();
    try (ShardReader<Pair> reader =
        ShardReader.open(configuration, new Path(path), PairFormat.SIZES)) {
      for (int group = 0; group < reader.rowGroups(); group++) {
        for (Pair pair : reader.readGroup(group)) {
          sizes.sides[bin(Math.min(pair.width(), pair.height()))]++;
          sizes.lengths[bin(pair.caption().codePointCount(0, pair.caption().length()))]++;
        }
      }
    }
    return sizes;
  }

  private static int bin(int value) {
    return Math.min(BINS - 1, (int) Math.round(2 * Math.log(Math.max(1, value)) / Math.log(2)));
  }

  /** Some rejects of each reason, from the newest files. */
  private static SortedMap<String, List<Reject>> examples(
      DatasetFolder folder, DatasetManifest manifest) throws IOException {
    SortedMap<String, List<Reject>> examples = new TreeMap<>();
    Map<String, Long> wanted = new HashMap<>(manifest.totals().reasons());
    List<String> files = new ArrayList<>();
    manifest.generations().forEach(generation -> files.addAll(generation.rejectFiles()));
    int last = Math.max(0, files.size() - REJECT_FILES);
    for (int i = files.size() - 1; i >= last && !wanted.isEmpty(); i--) {
      try (ShardReader<Reject> reader =
          ShardReader.open(folder.configuration(), folder.file(files.get(i)), new RejectFormat())) {
        for (int group = 0; group < reader.rowGroups() && !wanted.isEmpty(); group++) {
          for (Reject reject : reader.readGroup(group)) {
            List<Reject> list =
                examples.computeIfAbsent(reject.reason(), reason -> new ArrayList<>());
            if (list.size() < EXAMPLES_OF_A_REASON) {
              list.add(reject);
            } else {
              wanted.remove(reject.reason());
            }
          }
        }
      }
    }
    return examples;
  }

  /** The first rows of some shards: other images each, in random order. */
  private static List<Pair> images(DatasetFolder folder, DatasetManifest manifest)
      throws IOException {
    List<Pair> images = new ArrayList<>();
    List<Shard> shards = manifest.shards();
    int each = Math.max(1, IMAGES / Math.max(1, shards.size()));
    for (Shard shard : shards) {
      if (images.size() < IMAGES) {
        try (ShardReader<Pair> reader =
            ShardReader.open(folder.configuration(), folder.pairs(shard), PairFormat.ALL)) {
          images.addAll(reader.readGroup(0, 0, Math.min(each, reader.rows(0))));
        }
      }
    }
    return images;
  }

  private static String html(
      DatasetManifest manifest,
      Sizes sizes,
      SortedMap<String, List<Reject>> examples,
      List<Pair> images) {
    DatasetManifest.Totals totals = manifest.totals();
    HtmlPage page =
        new HtmlPage(
            totals.pairs() + " pairs of images and captions",
            "Every candidate in the sources is a pair or a reject: "
                + totals.input()
                + " = "
                + totals.pairs()
                + " + "
                + totals.rejects()
                + ". "
                + totals.train()
                + " pairs are for training, "
                + totals.validation()
                + " for validation; "
                + totals.ignored()
                + " other archive members were ignored.");
    page.section("Sources", sources(manifest));
    page.section(
        "Sizes",
        "<div class=\"grid\">"
            + chart("Pairs by the image's shorter side", "pixels, as a power of 2", sizes.sides)
            + chart("Pairs by the caption's length", "characters, as a power of 2", sizes.lengths)
            + "</div>");
    page.section("Rejects", rejects(totals, examples));
    return page.section("Some pairs", pictures(images)).html();
  }

  private static String sources(DatasetManifest manifest) {
    List<List<String>> rows = new ArrayList<>();
    for (int run = 0; run < manifest.generations().size(); run++) {
      for (DatasetManifest.SourceCounts source : manifest.generations().get(run).sources()) {
        rows.add(
            List.of(
                source.format() + " " + source.path(),
                Integer.toString(run),
                Double.toString(source.weight()),
                Long.toString(source.input()),
                Long.toString(source.pairs()),
                Long.toString(source.rejects()),
                Long.toString(source.ignored())));
      }
    }
    return HtmlPage.table(
        List.of("Source", "Run", "Weight", "Candidates", "Pairs", "Rejects", "Ignored"), rows);
  }

  private static String chart(String title, String across, long[] counts) {
    int from = 0;
    int to = counts.length;
    while (from < to - 2 && counts[from] == 0) {
      from++;
    }
    while (to > from + 2 && counts[to - 1] == 0) {
      to--;
    }
    return Chart.lines(
        title,
        across,
        List.of(
            new Chart.Line(
                "pairs",
                IntStream.range(from, to).mapToDouble(i -> i / 2.0).toArray(),
                IntStream.range(from, to).mapToDouble(i -> counts[i]).toArray())));
  }

  private static String rejects(
      DatasetManifest.Totals totals, SortedMap<String, List<Reject>> examples) {
    StringBuilder html = new StringBuilder();
    totals
        .reasons()
        .forEach(
            (reason, count) -> {
              html.append("<div class=\"card\"><h3>").append(HtmlPage.escape(reason));
              html.append(": ").append(count).append("</h3><ul>");
              for (Reject reject : examples.getOrDefault(reason, List.of())) {
                html.append("<li>")
                    .append(text(reject.source() + " " + reject.key() + ": " + reject.detail()))
                    .append("</li>");
              }
              html.append("</ul></div>\n");
            });
    return html.isEmpty() ? "<p>None.</p>" : html.toString();
  }

  private static String pictures(List<Pair> pairs) {
    StringBuilder html = new StringBuilder("<div class=\"concepts\">\n");
    for (Pair pair : pairs) {
      html.append("<div class=\"card example\"><img alt=\"\" src=\"")
          .append(Thumbnail.dataUri(pair.image(), THUMBNAIL))
          .append("\"><div>")
          .append(text(pair.caption()))
          .append("<br><span class=\"note\">")
          .append(pair.width())
          .append(" x ")
          .append(pair.height())
          .append("</span></div></div>\n");
    }
    return html.append("</div>").toString();
  }

  private static String text(String whole) {
    int end =
        whole.offsetByCodePoints(
            0, Math.min(LONGEST_TEXT, whole.codePointCount(0, whole.length())));
    return HtmlPage.escape(end < whole.length() ? whole.substring(0, end) + " ..." : whole);
  }
}
