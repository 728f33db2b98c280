package io.github.kklip.ingest;

import com.fasterxml.jackson.annotation.JsonUnwrapped;
import io.github.kklip.store.DatasetManifest.Totals;

/**
 * What a compaction did; of one that found nothing to do, before and after are the same.
 *
 * @param generations that there were
 * @param shardsBefore shards that there were
 * @param shards that there are
 * @param filesBefore files that the dataset was made of
 * @param files that it is made of
 */
public record CompactResult(
    String dataset,
    int generations,
    int shardsBefore,
    int shards,
    long filesBefore,
    long files,
    @JsonUnwrapped(prefix = "dataset_") Totals totals) {}
