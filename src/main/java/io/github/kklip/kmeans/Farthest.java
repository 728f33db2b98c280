package io.github.kklip.kmeans;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** The rows farthest from their centres: where a centre without rows is put. */
record Farthest(int count) implements Fold<ArrayList<PickedRow>> {

  /** Equal captions have equal embeddings, so more rows are looked at than are wanted. */
  private static final int SPARE = 16;

  /** Up to {@code wanted} rows, farthest first, no two of them equal and none equal to a centre. */
  static List<float[]> distinct(VectorRows rows, Centres centres, int wanted) {
    List<float[]> chosen = new ArrayList<>();
    for (PickedRow row : rows.fold(centres, new Farthest(4 * wanted + SPARE))) {
      if (chosen.size() < wanted
          && !isCentre(row.values(), centres)
          && chosen.stream().noneMatch(c -> Arrays.equals(c, row.values()))) {
        chosen.add(row.values());
      }
    }
    return chosen;
  }

  private static boolean isCentre(float[] row, Centres centres) {
    int d = centres.dimension();
    for (int c = 0; c < centres.k(); c++) {
      if (Arrays.equals(row, 0, d, centres.values(), c * d, (c + 1) * d)) {
        return true;
      }
    }
    return false;
  }

  @Override
  public ArrayList<PickedRow> zero() {
    return new ArrayList<>();
  }

  @Override
  public ArrayList<PickedRow> add(
      ArrayList<PickedRow> sofar, VectorBlock block, Distances distances) {
    float[] squared = distances.nearest(block).squared();
    double bar = sofar.size() < count ? -1 : sofar.get(sofar.size() - 1).distance();
    for (int row = 0; row < squared.length; row++) {
      if (squared[row] >= bar) {
        sofar.add(PickedRow.of(block, row, squared[row]));
      }
    }
    return farthest(sofar);
  }

  @Override
  public ArrayList<PickedRow> merge(ArrayList<PickedRow> left, ArrayList<PickedRow> right) {
    left.addAll(right);
    return farthest(left);
  }

  private ArrayList<PickedRow> farthest(ArrayList<PickedRow> rows) {
    rows.sort(PickedRow.FARTHEST);
    return rows.size() <= count ? rows : new ArrayList<>(rows.subList(0, count));
  }
}
