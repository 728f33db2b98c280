package io.github.kklip.kmeans;

import java.io.Serializable;
import java.util.Iterator;

/**
 * One pass over the rows: {@code add} takes block after block into an accumulator, {@code merge}
 * joins accumulators. The outcome must not depend on the order of either; sums get that from {@link
 * Grid}.
 *
 * @param <A> the accumulator; it may be changed in place
 */
public interface Fold<A> extends Serializable {
  A zero();

  A add(A accumulator, VectorBlock block, Distances distances);

  /** All blocks of one part of the rows, in their order. */
  default A part(Iterator<VectorBlock> blocks, Distances distances) {
    A part = zero();
    while (blocks.hasNext()) {
      part = add(part, blocks.next(), distances);
    }
    return part;
  }

  A merge(A left, A right);
}
