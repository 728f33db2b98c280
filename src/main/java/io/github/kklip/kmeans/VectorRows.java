package io.github.kklip.kmeans;

/** The rows to cluster, wherever they are: in this process or in the executors of a cluster. */
public interface VectorRows extends AutoCloseable {

  /** One pass over all rows with the distances to {@code centres}. */
  <A> A fold(Centres centres, Fold<A> fold);

  @Override
  void close();
}
