package io.github.kklip.kmeans;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.Seeds;
import io.github.kklip.config.SettingsException;
import io.github.kklip.config.SplitMix64;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The k-means|| start (Bahmani et al., Scalable K-Means++, VLDB 2012): a few passes, each of which
 * draws about 2k rows with a probability proportional to their squared distance from what was drawn
 * before, then k of these candidates by k-means++ weighted with the rows that are nearest to each.
 *
 * <p>Whether a row is drawn depends on a hash of (seed, pass, pair id), so that the start is the
 * same for every partitioning.
 */
public final class ParallelStart {
  private static final Logger LOG = LoggerFactory.getLogger(ParallelStart.class);

  private static final int SAMPLE = 16;

  private ParallelStart() {}

  public static Centres centres(
      VectorRows rows, RowStatistics totals, int k, int passes, long seed) {
    List<float[]> candidates = new ArrayList<>();
    candidates.add(first(rows, Seeds.derive(seed, "k-means first row")));
    for (int pass = 0; pass < passes; pass++) {
      Centres drawn = Centres.of(candidates);
      double cost = rows.fold(drawn, new Cost(totals.squares()));
      if (cost == 0) {
        break;
      }
      Draw draw = new Draw(Seeds.derive(seed, "k-means pass", pass), 2.0 * k / cost);
      List<PickedRow> sample = rows.fold(drawn, draw);
      sample.sort(PickedRow.BY_POSITION);
      sample.forEach(row -> candidates.add(row.values()));
    }
    List<float[]> distinct = distinct(candidates);
    fillUp(rows, k, distinct);
    Centres all = Centres.of(distinct);
    long[] weights = rows.fold(all, new Count(all.k()));
    LOG.info("k-means start: {} of {} candidates", k, all.k());
    return plusPlus(all, weights, k, Seeds.derive(seed, "k-means++"));
  }

  /**
   * k-means++ (Arthur and Vassilvitskii, SODA 2007) on a sample of about {@value #SAMPLE} rows for
   * each centre, drawn by a hash of (seed, pair id).
   */
  public static Centres onSample(VectorRows rows, RowStatistics totals, int k, long seed) {
    List<PickedRow> sample =
        RowSample.of(rows, totals, (long) SAMPLE * k, Seeds.derive(seed, "k-means sample"));
    List<float[]> distinct = distinct(sample.stream().map(PickedRow::values).toList());
    if (distinct.isEmpty()) {
      distinct.add(first(rows, seed));
    }
    fillUp(rows, k, distinct);
    LOG.info("k-means start: {} of a sample of {} rows", k, distinct.size());
    long[] weights = new long[distinct.size()];
    Arrays.fill(weights, 1);
    return plusPlus(Centres.of(distinct), weights, k, Seeds.derive(seed, "k-means++"));
  }

  private static float[] first(VectorRows rows, long seed) {
    return rows.fold(Centres.NONE, new First(seed)).get(0).values();
  }

  private static List<float[]> distinct(List<float[]> rows) {
    List<float[]> distinct = new ArrayList<>();
    java.util.Set<java.nio.FloatBuffer> seen = new java.util.HashSet<>();
    for (float[] row : rows) {
      if (seen.add(java.nio.FloatBuffer.wrap(row))) {
        distinct.add(row);
      }
    }
    return distinct;
  }

  /** With few rows or few passes the draw may fall short: the farthest rows make up for it. */
  private static void fillUp(VectorRows rows, int k, List<float[]> candidates) {
    while (candidates.size() < k) {
      List<float[]> far = Farthest.distinct(rows, Centres.of(candidates), k - candidates.size());
      if (far.isEmpty()) {
        throw new SettingsException(
            message(
                "Cannot make %s concepts because the training rows have only %s distinct embeddings. Set concepts.k to at most that.",
                k, candidates.size()));
      }
      candidates.addAll(far);
    }
  }

  /**
   * Weighted k-means++ over the candidates: each next centre with probability weight times D&sup2;.
   */
  static Centres plusPlus(Centres candidates, long[] weights, int k, long seed) {
    double[] distance = new double[candidates.k()];
    Arrays.fill(distance, 1);
    List<float[]> chosen = new ArrayList<>();
    while (chosen.size() < k) {
      int next = pick(distance, weights, unit(Seeds.derive(seed, "centre", chosen.size())));
      float[] centre = row(candidates, next);
      boolean first = chosen.isEmpty();
      chosen.add(centre);
      IntStream.range(0, distance.length)
          .parallel()
          .forEach(
              i -> {
                double squared = squaredDistance(candidates, i, centre);
                distance[i] = first ? squared : Math.min(distance[i], squared);
              });
    }
    return Centres.of(chosen);
  }

  /**
   * The index whose share of the weighted distances holds {@code unit}. Candidates that are nearest
   * to no row have weight 0 and are taken only when nothing else is left.
   */
  private static int pick(double[] distance, long[] weights, double unit) {
    double total = 0;
    for (int i = 0; i < distance.length; i++) {
      total += weights[i] * distance[i];
    }
    int last = 0;
    double left = unit * total;
    for (int i = 0; i < distance.length; i++) {
      double share = total > 0 ? weights[i] * distance[i] : distance[i];
      if (share > 0) {
        last = i;
        left -= share;
        if (left < 0) {
          return i;
        }
      }
    }
    return last;
  }

  private static double unit(long seed) {
    return new SplitMix64(seed).nextDouble();
  }

  private static float[] row(Centres centres, int index) {
    int d = centres.dimension();
    return Arrays.copyOfRange(centres.values(), index * d, (index + 1) * d);
  }

  private static double squaredDistance(Centres candidates, int index, float[] centre) {
    double squared = 0;
    int from = index * centre.length;
    for (int j = 0; j < centre.length; j++) {
      double difference = (double) candidates.values()[from + j] - centre[j];
      squared += difference * difference;
    }
    return squared;
  }

  /** The row with the smallest hash. */
  private record First(long seed) implements Fold<ArrayList<PickedRow>> {
    @Override
    public ArrayList<PickedRow> zero() {
      return new ArrayList<>();
    }

    @Override
    public ArrayList<PickedRow> add(
        ArrayList<PickedRow> sofar, VectorBlock block, Distances distances) {
      for (int row = 0; row < block.rows(); row++) {
        double unit = unit(Seeds.derive(seed, "row", block.keys()[row]));
        if (sofar.isEmpty() || unit < sofar.get(0).distance()) {
          sofar = new ArrayList<>(List.of(PickedRow.of(block, row, unit)));
        }
      }
      return sofar;
    }

    @Override
    public ArrayList<PickedRow> merge(ArrayList<PickedRow> left, ArrayList<PickedRow> right) {
      left.addAll(right);
      left.sort(
          java.util.Comparator.comparingDouble(PickedRow::distance)
              .thenComparing(PickedRow.BY_POSITION));
      return new ArrayList<>(left.subList(0, Math.min(1, left.size())));
    }
  }

  private record Cost(Grid grid) implements Fold<Double> {
    @Override
    public Double zero() {
      return 0.0;
    }

    @Override
    public Double add(Double sofar, VectorBlock block, Distances distances) {
      double cost = sofar;
      for (float squared : distances.nearest(block).squared()) {
        cost += grid.round(squared);
      }
      return cost;
    }

    @Override
    public Double merge(Double left, Double right) {
      return left + right;
    }
  }

  private record Draw(long seed, double perSquare) implements Fold<ArrayList<PickedRow>> {
    @Override
    public ArrayList<PickedRow> zero() {
      return new ArrayList<>();
    }

    @Override
    public ArrayList<PickedRow> add(
        ArrayList<PickedRow> sofar, VectorBlock block, Distances distances) {
      float[] squared = distances.nearest(block).squared();
      for (int row = 0; row < squared.length; row++) {
        double unit = unit(Seeds.derive(seed, "row", block.keys()[row]));
        if (unit < perSquare * squared[row]) {
          sofar.add(PickedRow.of(block, row, squared[row]));
        }
      }
      return sofar;
    }

    @Override
    public ArrayList<PickedRow> merge(ArrayList<PickedRow> left, ArrayList<PickedRow> right) {
      left.addAll(right);
      return left;
    }
  }

  private record Count(int k) implements Fold<long[]> {
    @Override
    public long[] zero() {
      return new long[k];
    }

    @Override
    public long[] add(long[] sofar, VectorBlock block, Distances distances) {
      for (int centre : distances.nearest(block).centres()) {
        sofar[centre]++;
      }
      return sofar;
    }

    @Override
    public long[] merge(long[] left, long[] right) {
      for (int c = 0; c < k; c++) {
        left[c] += right[c];
      }
      return left;
    }
  }
}
