package io.github.kklip.jobs;

import io.github.kklip.concept.ConceptStage;
import java.util.LinkedHashMap;
import java.util.Map;

/** Clusters the training embeddings into concepts and gives every pair a soft label of them. */
final class ClusterJob implements Job {
  @Override
  public Map<String, Object> run(JobContext context) throws Exception {
    ConceptStage.Result result = ConceptStage.run(context.javaSpark(), context.settings());
    Map<String, Object> fields = new LinkedHashMap<>();
    fields.put("k", result.k());
    fields.put("iterations", result.iterations());
    fields.put("inertia", result.inertia());
    fields.put("seconds_per_iteration", result.secondsPerIteration());
    fields.put("temperature", result.temperature());
    fields.put("perplexity", result.perplexity());
    fields.put("top_k", result.topK());
    fields.put("labelled_shards", result.labelled());
    fields.put("output", result.output());
    return fields;
  }
}
