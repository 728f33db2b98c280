package io.github.kklip.jobs;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.SettingsException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;

/**
 * The jobs by the name on the command line, in the order in which a dataset and a model pass
 * through them.
 */
final class Jobs {
  private static final Map<String, Supplier<Job>> BY_NAME = new LinkedHashMap<>();

  static {
    BY_NAME.put("doctor", DoctorJob::new);
    BY_NAME.put("ingest", IngestJob::new);
    BY_NAME.put("tokenizer", TokenizerJob::new);
    BY_NAME.put("embed", EmbedJob::new);
    BY_NAME.put("cluster", ClusterJob::new);
    BY_NAME.put("train", TrainJob::new);
    BY_NAME.put("evaluate", EvaluateJob::new);
    BY_NAME.put("export", ExportJob::new);
    BY_NAME.put("run", RunJob::new);
    BY_NAME.put("demo", DemoJob::new);
    BY_NAME.put("settings", SettingsJob::new);
  }

  private Jobs() {}

  static Job make(String name) {
    Supplier<Job> maker = BY_NAME.get(name);
    if (maker == null) {
      throw new SettingsException(
          message(
              "Cannot run the job %s: there is none of that name. The jobs are %s.",
              name, String.join(", ", names())));
    }
    return maker.get();
  }

  static Set<String> names() {
    return BY_NAME.keySet();
  }
}
