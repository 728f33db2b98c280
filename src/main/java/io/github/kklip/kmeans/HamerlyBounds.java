package io.github.kklip.kmeans;

import java.util.Arrays;

/**
 * The nearest centre of each row of a block, with bounds that tell how far centres may move until
 * it has to be looked for again (Hamerly, Making k-means even faster, SDM 2010): a row x at centre
 * a keeps it while
 *
 * <p>upper(x) &ge; ||x - c<sub>a</sub>|| is below lower(x) &le; min<sub>c &ne; a</sub> ||x - c||.
 *
 * <p>When centres move, upper grows by the move of a, and lower shrinks by the largest move of any
 * other centre. Bounds hold for exact arithmetic: {@link Distances} widens them by float32's error.
 */
final class HamerlyBounds {
  private final int[] centres;
  private final double[] upper;
  private final double[] lower;

  /** Squared norm of each row. */
  private final double[] squares;

  /** Nothing is known but the rows. */
  HamerlyBounds(VectorBlock block) {
    centres = new int[block.rows()];
    upper = new double[block.rows()];
    lower = new double[block.rows()];
    squares = block.squares();
  }

  int[] centres() {
    return centres;
  }

  double[] squares() {
    return squares;
  }

  void set(int row, int centre, double upperBound, double lowerBound) {
    centres[row] = centre;
    upper[row] = upperBound;
    lower[row] = lowerBound;
  }

  /**
   * How many rows need not be looked at fully if their distances to the far centres are: then a
   * single centre that has moved far does not make all rows unsure.
   */
  int gain(Moves moves) {
    int gain = 0;
    for (int row = 0; row < centres.length; row++) {
      int centre = centres[row];
      double above = upper[row] + moves.of(centre);
      if (!moves.isFar(centre)
          && above < lower[row] - moves.near()
          && !(above < lower[row] - moves.largestBut(centre))) {
        gain++;
      }
    }
    return gain;
  }

  /**
   * Moves the bounds with the centres.
   *
   * @param toFar a lower bound of each row's distance to the far centres where they are now; null
   *     when nobody looked
   * @return the rows whose nearest centre may be another one now
   */
  int[] move(Moves moves, double[] toFar) {
    int[] unsure = new int[centres.length];
    int count = 0;
    for (int row = 0; row < centres.length; row++) {
      int centre = centres[row];
      upper[row] += moves.of(centre);
      if (toFar == null || moves.isFar(centre)) {
        lower[row] -= moves.largestBut(centre);
      } else {
        lower[row] = Math.min(lower[row] - moves.near(), toFar[row]);
      }
      if (!(upper[row] < lower[row])) {
        unsure[count++] = row;
      }
    }
    return Arrays.copyOf(unsure, count);
  }
}
