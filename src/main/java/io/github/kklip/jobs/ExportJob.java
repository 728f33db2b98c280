package io.github.kklip.jobs;

import io.github.kklip.export.HuggingFaceExport;
import java.util.LinkedHashMap;
import java.util.Map;

/** Writes a run's newest checkpoint as a Hugging Face folder. */
final class ExportJob implements Job {
  @Override
  public Map<String, Object> run(JobContext context) throws Exception {
    HuggingFaceExport.Result result = HuggingFaceExport.run(context.settings(), context.hadoop());
    Map<String, Object> fields = new LinkedHashMap<>();
    fields.put("path", result.path());
    fields.put("model", result.source());
    fields.put("parameters", result.parameters());
    fields.put("heads", result.heads());
    return fields;
  }
}
