package io.github.kklip.ingest;

import io.github.kklip.ingest.sources.Problem;
import io.github.kklip.store.Split;
import java.io.Serializable;
import java.util.Set;

/**
 * What can only be known when all sources are read: rows that passed all checks and do not become
 * part of their split.
 *
 * @param conflicts images that are in another split, too
 * @param nearDuplicates images that look like an earlier one
 */
record Exclusions(SplitConflicts conflicts, Set<String> nearDuplicates) implements Serializable {
  static final Exclusions NONE = new Exclusions(SplitConflicts.NONE, Set.of());

  /** Why a row with this image does not become part of this split; null if it does. */
  Problem of(Split split, String imageId) {
    Split winner = conflicts.winner(imageId);
    if (winner != null && winner != split) {
      return Problem.inSplit(winner);
    }
    return nearDuplicates.contains(imageId)
        ? new Problem(Problem.NEAR_DUPLICATE, "the image looks like an earlier one")
        : null;
  }
}
