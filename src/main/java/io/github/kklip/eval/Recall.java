package io.github.kklip.eval;

import java.util.Arrays;

/** Share of the queries whose first hit is among the first 1, 5 and 10 answers. */
public record Recall(double r1, double r5, double r10) {

  /**
   * Recall of measured ranks.
   *
   * @param ranks rank of each query's first hit, from 0
   */
  static Recall of(int[] ranks) {
    return new Recall(within(ranks, 1), within(ranks, 5), within(ranks, 10));
  }

  private static double within(int[] ranks, int answers) {
    return Arrays.stream(ranks).filter(rank -> rank < answers).count() / (double) ranks.length;
  }

  /**
   * What a random order of the answers reaches on average: for a query with m hits among N answers,
   * 1 - C(N - m, K) / C(N, K).
   *
   * @param hits number of hits of each query
   */
  static Recall chance(int[] hits, int answers) {
    return new Recall(
        chance(hits, answers, 1), chance(hits, answers, 5), chance(hits, answers, 10));
  }

  private static double chance(int[] hits, int answers, int looked) {
    return Arrays.stream(hits).mapToDouble(m -> 1 - miss(m, answers, looked)).average().orElse(0);
  }

  private static double miss(int hits, int answers, int looked) {
    double miss = 1;
    for (int i = 0; i < Math.min(looked, answers); i++) {
      miss *= Math.max(0, answers - hits - i) / (double) (answers - i);
    }
    return miss;
  }
}
