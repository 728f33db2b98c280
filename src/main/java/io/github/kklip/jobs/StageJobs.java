package io.github.kklip.jobs;

import java.util.LinkedHashMap;
import java.util.Map;

/** The jobs that make a dataset and a model, in the order in which these pass through them. */
final class StageJobs {
  private StageJobs() {}

  /** By name. */
  static Map<String, Job<?>> all() {
    Map<String, Job<?>> jobs = new LinkedHashMap<>();
    jobs.put("ingest", new IngestJob());
    jobs.put("tokenizer", new TokenizerJob());
    jobs.put("embed", new EmbedJob());
    jobs.put("cluster", new ClusterJob());
    jobs.put("train", new TrainJob());
    jobs.put("evaluate", new EvaluateJob());
    jobs.put("export", new ExportJob());
    return jobs;
  }
}
