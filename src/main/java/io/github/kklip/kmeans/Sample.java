package io.github.kklip.kmeans;

import io.github.kklip.config.Seeds;
import io.github.kklip.config.SplitMix64;
import java.util.ArrayList;
import java.util.List;

/** A sample of the rows: those whose hash of (seed, pair id) is under the wanted share. */
public record Sample(long seed, double share) implements Fold<ArrayList<Row>> {

  /** About {@code wanted} rows, the same for every partitioning, by position. */
  public static List<Row> of(Rows rows, RowStatistics totals, long wanted, long seed) {
    List<Row> sample = rows.fold(Centres.NONE, new Sample(seed, (double) wanted / totals.rows()));
    sample.sort(Row.BY_POSITION);
    return sample;
  }

  @Override
  public ArrayList<Row> zero() {
    return new ArrayList<>();
  }

  @Override
  public ArrayList<Row> add(ArrayList<Row> sofar, Block block, Distances distances) {
    for (int row = 0; row < block.rows(); row++) {
      if (new SplitMix64(Seeds.derive(seed, "row", block.keys()[row])).nextDouble() < share) {
        sofar.add(Row.of(block, row, 0));
      }
    }
    return sofar;
  }

  @Override
  public ArrayList<Row> merge(ArrayList<Row> left, ArrayList<Row> right) {
    left.addAll(right);
    return left;
  }
}
