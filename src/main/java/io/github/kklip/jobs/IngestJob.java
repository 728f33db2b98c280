package io.github.kklip.jobs;

import io.github.kklip.ingest.IngestResult;
import io.github.kklip.ingest.IngestStage;
import java.util.LinkedHashMap;
import java.util.Map;

/** Reads raw pairs of images and captions into the dataset. */
final class IngestJob implements Job {
  @Override
  public Map<String, Object> run(JobContext context) throws Exception {
    IngestResult result = IngestStage.run(context.javaSpark(), context.settings());
    Map<String, Object> fields = new LinkedHashMap<>();
    fields.put("input", result.input());
    fields.put("pairs", result.pairs());
    fields.put("rejects", result.rejects());
    fields.put("ignored", result.ignored());
    fields.put("reasons", result.reasons());
    fields.put("sources", result.sources());
    fields.put("dataset", result.dataset());
    return fields;
  }
}
