package io.github.kklip.kmeans;

import io.github.kklip.config.Seeds;
import io.github.kklip.config.SplitMix64;
import java.util.ArrayList;
import java.util.List;

/** A sample of the rows: those whose hash of (seed, pair id) is under the wanted share. */
public record RowSample(long seed, double share) implements Fold<ArrayList<PickedRow>> {

  /** About {@code wanted} rows, the same for every partitioning, by position. */
  public static List<PickedRow> of(VectorRows rows, RowStatistics totals, long wanted, long seed) {
    List<PickedRow> sample =
        rows.fold(Centres.NONE, new RowSample(seed, (double) wanted / totals.rows()));
    sample.sort(PickedRow.BY_POSITION);
    return sample;
  }

  @Override
  public ArrayList<PickedRow> zero() {
    return new ArrayList<>();
  }

  @Override
  public ArrayList<PickedRow> add(
      ArrayList<PickedRow> sofar, VectorBlock block, Distances distances) {
    for (int row = 0; row < block.rows(); row++) {
      if (new SplitMix64(Seeds.derive(seed, "row", block.keys()[row])).nextDouble() < share) {
        sofar.add(PickedRow.of(block, row, 0));
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
