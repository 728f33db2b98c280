package io.github.kklip.jobs;

import io.github.kklip.embed.EmbedStage;
import java.util.LinkedHashMap;
import java.util.Map;

/** Embeds every caption of the dataset with the teacher. */
final class EmbedJob implements Job {
  @Override
  public Map<String, Object> run(JobContext context) throws Exception {
    EmbedStage.Result result = EmbedStage.run(context.javaSpark(), context.settings());
    Map<String, Object> fields = new LinkedHashMap<>();
    fields.put("captions", result.captions());
    fields.put("embedded", result.embedded());
    fields.put("captions_per_s", result.captionsPerSecond());
    fields.put("executors", result.executors());
    fields.put("captions_per_s_per_executor", result.captionsPerSecondOfAnExecutor());
    fields.put("dimension", result.dimension());
    fields.put("output", result.output());
    return fields;
  }
}
