package io.github.kklip.kmeans;

import java.io.Serializable;
import java.util.Comparator;
import java.util.stream.IntStream;

/** How far each centre moved (Euclidean), rounded up. */
final class Moves implements Serializable {
  private static final long serialVersionUID = 1;

  /** More than the rounding of a float64 sum of squares, and of the bounds that add it up. */
  private static final double UP = 1 + 1e-9;

  /** One centre of so many counts among the far ones. */
  private static final int SHARE = 16;

  private final double[] each;
  private final boolean[] isFar;
  private final int[] far;
  private final int farthest;

  /** The largest of the other moves: than the farthest, and than all far ones. */
  private final double second;

  private final double near;

  private Moves(double[] each) {
    this.each = each;
    int[] order =
        IntStream.range(0, each.length)
            .boxed()
            .sorted(Comparator.comparingDouble(c -> -each[c]))
            .mapToInt(c -> c)
            .toArray();
    farthest = order[0];
    second = order.length > 1 ? each[order[1]] : 0;
    far = IntStream.of(order).limit(Math.max(1, each.length / SHARE)).toArray();
    near = order.length > far.length ? each[order[far.length]] : 0;
    isFar = new boolean[each.length];
    for (int c : far) {
      isFar[c] = true;
    }
  }

  static Moves between(Centres before, Centres after) {
    double[] each = before.distances(after);
    for (int c = 0; c < each.length; c++) {
      each[c] *= UP;
    }
    return new Moves(each);
  }

  double of(int centre) {
    return each[centre];
  }

  /** The largest move of the other centres; 0 when there are none. */
  double largestBut(int centre) {
    return centre == farthest ? second : each[farthest];
  }

  /** The few centres that moved farthest. */
  int[] far() {
    return far;
  }

  boolean isFar(int centre) {
    return isFar[centre];
  }

  /** The largest move of all centres but the far ones. */
  double near() {
    return near;
  }
}
