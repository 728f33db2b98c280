package io.github.kklip.store;

import java.io.Serializable;
import java.util.Locale;

/**
 * One shard of pairs. The files of all derived data (embeddings, labels) for these pairs have the
 * same name in their own folders and the same rows in the same order.
 *
 * @param index counts up within the split over all generations
 * @param identity hash of the ids of its rows in order ({@link Identity.Rows}); derived files carry
 *     it
 */
public record Shard(Split split, int index, long rows, String identity) implements Serializable {
  /** {@code train-00000.parquet}. */
  public String fileName() {
    return String.format(Locale.ROOT, "%s-%05d.parquet", split.keyword(), index);
  }
}
