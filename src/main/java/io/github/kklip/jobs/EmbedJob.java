package io.github.kklip.jobs;

import io.github.kklip.embed.EmbedStage;
import java.util.List;

/** Embeds every caption of the dataset with the teacher. */
final class EmbedJob implements Job<EmbedStage.EmbedResult> {
  @Override
  public String purpose() {
    return "Makes the teacher's embedding of every caption.";
  }

  @Override
  public List<String> settings() {
    return List.of("dataset", "threads", "lease-expiry", "teacher");
  }

  @Override
  public EmbedStage.EmbedResult run(JobContext context) throws Exception {
    return EmbedStage.run(context.javaSpark(), context.settings());
  }
}
