package io.github.kklip.kmeans;

import java.util.List;

/** Rows in this process. */
public record LocalRows(List<List<VectorBlock>> partitions, int threads) implements VectorRows {
  @Override
  public <A> A fold(Centres centres, Fold<A> fold) {
    A all = fold.zero();
    try (Distances distances = new Distances(centres, threads)) {
      for (List<VectorBlock> partition : partitions) {
        all = fold.merge(all, fold.part(partition.iterator(), distances));
      }
    }
    return all;
  }

  @Override
  public void close() {}
}
