package io.github.kklip.train.plan;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * The derived files that a run reads beside its shards, which its checkpoints name: it keeps to
 * them when the dataset has others by then.
 *
 * @param teacher for the identity of each shard the file of its embeddings, inside the dataset's
 *     folder; empty when their loss has weight 0
 * @param labels the same of the concept labels
 * @param made digest of what the labels were made with; empty when there are none
 */
public record DerivedFiles(
    SortedMap<String, String> teacher, SortedMap<String, String> labels, String made)
    implements Serializable {
  public DerivedFiles {
    teacher = Collections.unmodifiableSortedMap(new TreeMap<>(teacher));
    labels = Collections.unmodifiableSortedMap(new TreeMap<>(labels));
    if (made == null || teacher.containsValue(null) || labels.containsValue(null)) {
      throw new IllegalArgumentException("Cannot use derived files without all of their names.");
    }
  }

  /** All of them, inside the dataset's folder. */
  public List<String> all() {
    List<String> files = new ArrayList<>(teacher.values());
    files.addAll(labels.values());
    return files;
  }
}
