package io.github.kklip.concept;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.ConceptSettings;
import io.github.kklip.config.ConceptSettings.KMeansMetric;
import io.github.kklip.config.SettingsException;
import io.github.kklip.kmeans.CentreSums;
import io.github.kklip.kmeans.Centres;
import io.github.kklip.kmeans.Lloyd;
import io.github.kklip.kmeans.NearestRows;
import io.github.kklip.kmeans.ParallelStart;
import io.github.kklip.kmeans.RowStatistics;
import io.github.kklip.kmeans.VectorRows;
import io.github.kklip.progress.Progress;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Concepts of the training rows: the centres of k-means, and what makes soft labels of the
 * distances to them, s = softmax(-||t - c<sub>k</sub>||&sup2; / &tau;) of which the topK largest
 * are kept.
 *
 * @param inertia before each iteration, and of the final centres
 * @param perplexity exp(mean entropy) of the full soft labels
 * @param topMass mean mass of the topK concepts
 * @param members for each concept, the rows nearest to its centre
 */
record Clustering(
    Centres centres,
    List<Double> inertia,
    List<Long> sizes,
    double temperature,
    double perplexity,
    int topK,
    double topMass,
    List<List<NearestRows.Place>> members,
    PerplexityHistogram perplexities,
    Silhouette silhouette,
    double secondsPerIteration) {
  private static final Logger LOG = LoggerFactory.getLogger(Clustering.class);

  /** Rows looked up for each concept's captions; some captions are the same. */
  private static final int MEMBERS = 24;

  /** Which engine takes a step; the start and the labels are the same for both. */
  interface EngineOf {
    Lloyd.Engine make(VectorRows rows, RowStatistics totals);
  }

  static Clustering of(VectorRows rows, ConceptSettings settings, long seed, EngineOf engine) {
    RowStatistics totals;
    Centres start;
    try (Progress progress = Progress.of("cluster: start", "passes").begin()) {
      VectorRows counted = new CountedRows(rows, progress);
      totals = RowStatistics.of(counted);
      start = start(counted, totals, settings, seed);
      progress.done();
    }
    boolean cosine = settings.kmeans().metric() == KMeansMetric.COSINE;
    Lloyd.Engine step = engine.make(rows, totals);
    Lloyd.LloydResult lloyd =
        Lloyd.run(
            cosine ? Lloyd.spherical(step) : step,
            start,
            settings.kmeans().iterations(),
            settings.kmeans().tolerance());
    try (Progress progress = Progress.of("cluster: soft labels", "passes").begin()) {
      Clustering clustering =
          labelled(new CountedRows(rows, progress), totals, settings, seed, lloyd);
      progress.done();
      return clustering;
    }
  }

  private static Centres start(
      VectorRows rows, RowStatistics totals, ConceptSettings settings, long seed) {
    requireRows(settings.k(), totals.rows());
    return switch (settings.kmeans().start()) {
      case PARALLEL ->
          ParallelStart.centres(rows, totals, settings.k(), settings.kmeans().initSteps(), seed);
      case SAMPLE -> ParallelStart.onSample(rows, totals, settings.k(), seed);
    };
  }

  private static Clustering labelled(
      VectorRows rows,
      RowStatistics totals,
      ConceptSettings settings,
      long seed,
      Lloyd.LloydResult lloyd) {
    Centres centres = lloyd.centres();
    CentreSums last = Lloyd.sums(rows, totals, centres);
    List<Double> inertia = new ArrayList<>(lloyd.inertia());
    double inside = last.inertia(centres, totals.sumOfSquares());
    inertia.add(inside);

    // Where every row sits on its centre, the distance is rounding and says nothing: the rows' own
    // spread does.
    double scale = Math.max(inside, 1e-3 * totals.sumOfSquares()) / totals.rows();
    Temperature.FoundTemperature found = temperature(rows, totals, centres, settings, scale);
    double[] ranked = RankedMass.of(rows, totals.rows(), centres, found.temperature());
    int topK =
        settings
            .labels()
            .fixedTopK()
            .orElseGet(() -> TopK.reaching(settings.labels().topMass(), ranked));
    double topMass = Arrays.stream(ranked, 0, topK).sum();
    LOG.info(
        "Soft labels: temperature {}, perplexity {}, the {} largest of {} hold {} of the mass",
        rounded(found.temperature()),
        rounded(found.perplexity()),
        topK,
        centres.k(),
        rounded(topMass));
    return new Clustering(
        centres,
        inertia,
        Arrays.stream(last.sizes()).boxed().toList(),
        found.temperature(),
        found.perplexity(),
        topK,
        topMass,
        rows.fold(centres, new NearestRows(centres.k(), MEMBERS)),
        PerplexityHistogram.of(rows, centres, found.temperature()),
        Silhouette.of(rows, totals, centres, seed),
        lloyd.secondsPerIteration());
  }

  private static String rounded(double value) {
    return String.format(Locale.ROOT, "%.4g", value);
  }

  private static Temperature.FoundTemperature temperature(
      VectorRows rows,
      RowStatistics totals,
      Centres centres,
      ConceptSettings settings,
      double scale) {
    if (settings.labels().fixedTemperature().isPresent()) {
      double fixed = settings.labels().fixedTemperature().getAsDouble();
      double[] perplexity =
          Entropy.perplexities(rows, totals.rows(), centres, new double[] {fixed});
      return new Temperature.FoundTemperature(fixed, perplexity[0]);
    }
    return Temperature.reaching(
        settings.labels().targetPerplexity(),
        scale,
        temperatures -> Entropy.perplexities(rows, totals.rows(), centres, temperatures));
  }

  /** Refuses more concepts than there are rows to find them in. */
  static void requireRows(int k, long rows) {
    if (rows < k) {
      throw new SettingsException(
          message(
              "Cannot make %s concepts of %s training rows. Set concepts.k to at most that.",
              k, rows));
    }
  }
}
