package io.github.kklip.kmeans;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** For each centre, those of its own rows that are nearest to it: what the concept is about. */
public record NearestRows(int k, int count) implements Fold<ArrayList<List<NearestRows.Member>>> {

  /** A row by its place. */
  public record Member(int shard, int row, float squared) implements java.io.Serializable {
    private static final Comparator<Member> NEAREST =
        Comparator.comparingDouble(Member::squared)
            .thenComparingInt(Member::shard)
            .thenComparingInt(Member::row);
  }

  @Override
  public ArrayList<List<Member>> zero() {
    ArrayList<List<Member>> members = new ArrayList<>(k);
    for (int c = 0; c < k; c++) {
      members.add(new ArrayList<>());
    }
    return members;
  }

  @Override
  public ArrayList<List<Member>> add(
      ArrayList<List<Member>> sofar, Block block, Distances distances) {
    Distances.Nearest nearest = distances.nearest(block);
    for (int row = 0; row < block.rows(); row++) {
      insert(
          sofar.get(nearest.centres()[row]),
          new Member(block.shard(), block.firstRow() + row, nearest.squared()[row]));
    }
    return sofar;
  }

  private void insert(List<Member> members, Member member) {
    if (members.size() == count && Member.NEAREST.compare(member, members.get(count - 1)) >= 0) {
      return;
    }
    int place = members.size();
    while (place > 0 && Member.NEAREST.compare(member, members.get(place - 1)) < 0) {
      place--;
    }
    members.add(place, member);
    if (members.size() > count) {
      members.remove(count);
    }
  }

  @Override
  public ArrayList<List<Member>> merge(
      ArrayList<List<Member>> left, ArrayList<List<Member>> right) {
    for (int c = 0; c < k; c++) {
      for (Member member : right.get(c)) {
        insert(left.get(c), member);
      }
    }
    return left;
  }
}
