package io.github.kklip.jobs;

import io.github.kklip.config.Settings;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The jobs that make a dataset and a model, in the order in which these pass through them. */
final class Stages {
  private Stages() {}

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

  /**
   * The stages that these settings need: a loss of weight 0 needs no data, a given tokenizer is not
   * trained.
   */
  static List<String> needed(Settings settings) {
    Settings.LossWeights loss = settings.train().loss();
    List<String> stages = new ArrayList<>();
    if (!settings.ingest().sources().isEmpty()) {
      stages.add("ingest");
    }
    if (settings.student().tokenizer().isEmpty()) {
      stages.add("tokenizer");
    }
    if (loss.emb() > 0 || loss.concept() > 0) {
      stages.add("embed");
    }
    if (loss.concept() > 0) {
      stages.add("cluster");
    }
    stages.addAll(List.of("train", "evaluate", "export"));
    return stages;
  }
}
