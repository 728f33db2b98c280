package io.github.kklip.kmeans;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** The rows farthest from their centres: where a centre without rows is put. */
record Farthest(int count) implements Fold<ArrayList<Row>> {

  /** Equal captions have equal embeddings, so more rows are looked at than are wanted. */
  private static final int SPARE = 16;

  /** Up to {@code wanted} rows, farthest first, no two of them equal and none equal to a centre. */
  static List<float[]> distinct(Rows rows, Centres centres, int wanted) {
    List<float[]> chosen = new ArrayList<>();
    for (Row row : rows.fold(centres, new Farthest(4 * wanted + SPARE))) {
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
  public ArrayList<Row> zero() {
    return new ArrayList<>();
  }

  @Override
  public ArrayList<Row> add(ArrayList<Row> sofar, Block block, Distances distances) {
    float[] squared = distances.nearest(block).squared();
    double bar = sofar.size() < count ? -1 : sofar.get(sofar.size() - 1).distance();
    for (int row = 0; row < squared.length; row++) {
      if (squared[row] >= bar) {
        sofar.add(Row.of(block, row, squared[row]));
      }
    }
    return farthest(sofar);
  }

  @Override
  public ArrayList<Row> merge(ArrayList<Row> left, ArrayList<Row> right) {
    left.addAll(right);
    return farthest(left);
  }

  private ArrayList<Row> farthest(ArrayList<Row> rows) {
    rows.sort(Row.FARTHEST);
    return rows.size() <= count ? rows : new ArrayList<>(rows.subList(0, count));
  }
}
