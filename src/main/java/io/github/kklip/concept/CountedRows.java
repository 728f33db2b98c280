package io.github.kklip.concept;

import io.github.kklip.kmeans.Centres;
import io.github.kklip.kmeans.Fold;
import io.github.kklip.kmeans.VectorRows;
import io.github.kklip.progress.Progress;

/**
 * Rows whose passes are counted.
 *
 * @param rows closed by their owner
 */
record CountedRows(VectorRows rows, Progress progress) implements VectorRows {
  @Override
  public <A> A fold(Centres centres, Fold<A> fold) {
    A result = rows.fold(centres, fold);
    progress.add(1);
    return result;
  }

  @Override
  public void close() {}
}
