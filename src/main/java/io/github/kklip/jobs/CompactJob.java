package io.github.kklip.jobs;

import io.github.kklip.config.Settings;
import io.github.kklip.ingest.CompactResult;
import io.github.kklip.ingest.CompactStage;
import io.github.kklip.store.DatasetFolder;
import java.io.IOException;
import java.util.List;

/** Makes full shards of the small ones of many runs of ingest. */
final class CompactJob implements Job<CompactResult> {
  @Override
  public String purpose() {
    return "Makes full shards of the small ones of many ingests, with embeddings and labels.";
  }

  @Override
  public List<String> settings() {
    return List.of("seed", "dataset", "lease-expiry", "ingest.shard-rows", "ingest.row-group-rows");
  }

  @Override
  public CompactResult run(JobContext context) throws IOException {
    DatasetFolder folder =
        new DatasetFolder(
            Settings.required(context.settings().dataset(), "dataset"),
            context.hadoopBeforeSpark());
    // What is refused is refused before Spark starts.
    CompactStage.requireWhole(folder, folder.requireManifest());
    return CompactStage.run(context.javaSpark(), context.settings());
  }
}
