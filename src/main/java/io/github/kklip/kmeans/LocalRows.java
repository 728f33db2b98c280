package io.github.kklip.kmeans;

import java.util.List;

/** Rows in this process. */
public record LocalRows(List<List<Block>> partitions, int threads) implements Rows {
  @Override
  public <A> A fold(Centres centres, Fold<A> fold) {
    A all = fold.zero();
    try (Distances distances = new Distances(centres, threads)) {
      for (List<Block> partition : partitions) {
        all = fold.merge(all, fold.part(partition.iterator(), distances));
      }
    }
    return all;
  }

  @Override
  public void close() {}
}
