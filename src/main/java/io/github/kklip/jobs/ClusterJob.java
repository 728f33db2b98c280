package io.github.kklip.jobs;

import io.github.kklip.concept.ConceptStage;
import java.util.List;

/** Clusters the training embeddings into concepts and gives every pair a soft label of them. */
final class ClusterJob implements Job<ConceptStage.ConceptResult> {
  @Override
  public String purpose() {
    return "Clusters the embeddings by k-means and gives every pair soft concept labels.";
  }

  @Override
  public List<String> settings() {
    return List.of(
        "seed",
        "dataset",
        "threads",
        "lease-expiry",
        "teacher.name",
        "teacher.postprocess",
        "concepts");
  }

  @Override
  public ConceptStage.ConceptResult run(JobContext context) throws Exception {
    return ConceptStage.run(context.javaSpark(), context.settings());
  }
}
