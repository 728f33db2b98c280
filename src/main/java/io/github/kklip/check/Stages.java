package io.github.kklip.check;

import io.github.kklip.config.Settings;
import io.github.kklip.config.TrainSettings;
import java.util.ArrayList;
import java.util.List;

/** Which stages a job consists of, in their order. */
public final class Stages {
  static final String DEMO = "demo";

  private static final List<String> ALL =
      List.of("ingest", "tokenizer", "embed", "cluster", "train", "evaluate", "export");

  private Stages() {}

  /**
   * The stages of {@code run}: a loss of weight 0 needs no data, a tokenizer that is given is not
   * trained, and without sources nothing is ingested.
   */
  public static List<String> ofRun(Settings settings) {
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
    stages.addAll(List.of("train", "evaluate", "export"));
    return List.copyOf(stages);
  }

  /** The stages of a job; none for the jobs that work with no data. */
  static List<String> of(String job, Settings settings) {
    return switch (job) {
      case "run" -> ofRun(settings);
      case DEMO -> ALL;
      default -> ALL.contains(job) ? List.of(job) : List.of();
    };
  }
}
