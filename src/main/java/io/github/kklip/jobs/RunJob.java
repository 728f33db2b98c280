package io.github.kklip.jobs;

import io.github.kklip.config.Settings;
import io.github.kklip.config.TrainSettings;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** All stages from raw data to an evaluated, exported model. Each stage skips what is whole. */
final class RunJob implements Job {
  private static final Logger LOG = LoggerFactory.getLogger(RunJob.class);

  @Override
  public Map<String, Object> run(JobContext context) throws Exception {
    Map<String, Object> results = new LinkedHashMap<>();
    for (String stage : stages(context.settings())) {
      results.put(stage, runStage(stage, context));
    }
    return Map.of("stages", results);
  }

  /**
   * The stages that these settings need: a loss of weight 0 needs no data, a given tokenizer is not
   * trained.
   */
  static List<String> stages(Settings settings) {
    List<String> stages = new ArrayList<>(preparation(settings));
    stages.addAll(List.of("train", "evaluate", "export"));
    return stages;
  }

  static List<String> preparation(Settings settings) {
    TrainSettings.LossSettings loss = settings.train().loss();
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
    return stages;
  }

  static Map<String, Object> runStage(String stage, JobContext context) throws Exception {
    LOG.info("{} begins", stage);
    long start = System.nanoTime();
    Map<String, Object> result = new LinkedHashMap<>(Jobs.make(stage).run(context));
    result.put("seconds", Math.round((System.nanoTime() - start) / 1e6) / 1e3);
    LOG.info("{} done: {}", stage, result);
    return result;
  }
}
