package io.github.kklip.jobs;

import io.github.kklip.export.HuggingFaceExport;
import java.util.List;

/** Writes a run's newest checkpoint as a Hugging Face folder. */
final class ExportJob implements Job<HuggingFaceExport.ExportResult> {
  @Override
  public String purpose() {
    return "Writes a Hugging Face folder that CLIPModel and CLIPProcessor load.";
  }

  @Override
  public List<String> settings() {
    return List.of("lease-expiry", "train.output", "export");
  }

  @Override
  public HuggingFaceExport.ExportResult run(JobContext context) throws Exception {
    return HuggingFaceExport.run(context.settings(), context.hadoop());
  }
}
