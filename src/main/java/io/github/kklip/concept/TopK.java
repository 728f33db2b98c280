package io.github.kklip.concept;

/** How many concepts a soft label keeps. */
final class TopK {
  private TopK() {}

  /**
   * The smallest number of concepts whose mean mass reaches {@code mass}.
   *
   * @param ranked mean probability of a row's most probable concept, of its second, and so on
   */
  static int reaching(double mass, double[] ranked) {
    double kept = 0;
    for (int k = 1; k < ranked.length; k++) {
      kept += ranked[k - 1];
      if (kept >= mass) {
        return k;
      }
    }
    return ranked.length;
  }
}
