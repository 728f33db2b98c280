package io.github.kklip.upkeep;

import com.fasterxml.jackson.annotation.JsonUnwrapped;
import io.github.kklip.store.DatasetManifest.Totals;
import java.util.List;

/**
 * What a takedown did.
 *
 * @param ids that were given
 * @param rows that are no longer part of the dataset
 * @param shards that were written anew
 * @param runs outputs of registered runs that were trained on such rows, with all models made from
 *     them
 * @param unknownRuns outputs of registered runs of which that cannot be told
 * @param totals of the dataset after it
 */
public record RemoveResult(
    String dataset,
    long ids,
    long rows,
    int shards,
    List<String> runs,
    List<String> unknownRuns,
    @JsonUnwrapped(prefix = "dataset_") Totals totals) {
  public RemoveResult {
    runs = List.copyOf(runs);
    unknownRuns = List.copyOf(unknownRuns);
  }
}
