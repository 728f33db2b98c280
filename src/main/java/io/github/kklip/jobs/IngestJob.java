package io.github.kklip.jobs;

import io.github.kklip.ingest.IngestResult;
import io.github.kklip.ingest.IngestStage;
import java.util.List;

/** Reads raw pairs of images and captions into the dataset. */
final class IngestJob implements Job<IngestResult> {
  @Override
  public String purpose() {
    return "Reads sources, decodes every image once, filters, removes duplicates, splits, shuffles.";
  }

  @Override
  public List<String> settings() {
    return List.of("seed", "dataset", "lease-expiry", "ingest");
  }

  @Override
  public IngestResult run(JobContext context) throws Exception {
    return IngestStage.run(context.sparkWithExecutors(), context.settings());
  }
}
