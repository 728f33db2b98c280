package io.github.kklip.kmeans;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** For each centre, those of its own rows that are nearest to it: what the concept is about. */
public record NearestRows(int k, int count) implements Fold<ArrayList<List<NearestRows.Place>>> {

  /** A row by its place. */
  public record Place(int shard, int row, float squared) implements java.io.Serializable {
    private static final Comparator<Place> NEAREST =
        Comparator.comparingDouble(Place::squared)
            .thenComparingInt(Place::shard)
            .thenComparingInt(Place::row);
  }

  @Override
  public ArrayList<List<Place>> zero() {
    ArrayList<List<Place>> members = new ArrayList<>(k);
    for (int c = 0; c < k; c++) {
      members.add(new ArrayList<>());
    }
    return members;
  }

  @Override
  public ArrayList<List<Place>> add(
      ArrayList<List<Place>> sofar, VectorBlock block, Distances distances) {
    Distances.Nearest nearest = distances.nearest(block);
    for (int row = 0; row < block.rows(); row++) {
      insert(
          sofar.get(nearest.centres()[row]),
          new Place(block.shard(), block.firstRow() + row, nearest.squared()[row]));
    }
    return sofar;
  }

  private void insert(List<Place> members, Place member) {
    if (members.size() == count && Place.NEAREST.compare(member, members.get(count - 1)) >= 0) {
      return;
    }
    int place = members.size();
    while (place > 0 && Place.NEAREST.compare(member, members.get(place - 1)) < 0) {
      place--;
    }
    members.add(place, member);
    if (members.size() > count) {
      members.remove(count);
    }
  }

  @Override
  public ArrayList<List<Place>> merge(ArrayList<List<Place>> left, ArrayList<List<Place>> right) {
    for (int c = 0; c < k; c++) {
      for (Place member : right.get(c)) {
        insert(left.get(c), member);
      }
    }
    return left;
  }
}
