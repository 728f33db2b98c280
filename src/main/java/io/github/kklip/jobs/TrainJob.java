package io.github.kklip.jobs;

import static io.github.kklip.config.Message.message;

import io.github.kklip.launch.TrainStage;
import io.github.kklip.train.TrainResult;
import java.util.List;

/** Trains the student. */
final class TrainJob implements Job<TrainSummary> {
  @Override
  public String purpose() {
    return "Trains the student on train.ranks ranks; goes on from the newest checkpoint.";
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
        "concepts.name",
        "student",
        "train");
  }

  @Override
  public TrainSummary run(JobContext context) throws Exception {
    TrainResult result =
        context
            .stop()
            .follow(stop -> TrainStage.run(context.javaSpark(), context.settings(), stop));
    if (!result.complete()) {
      throw new StoppedException(stopped(result));
    }
    return TrainSummary.of(result);
  }

  /** Tells whether the checkpoint holds all that was reported. */
  static String stopped(TrainResult result) {
    long step = result.last().step();
    if (result.reported() <= step) {
      return message(
          "Stopped as asked after step %s, with all that was learned in the checkpoint %s. Start the same command to go on.",
          step, result.checkpoint());
    }
    return message(
        "Stopped as asked, but the checkpoint %s is of step %s, and step %s had been reported: a rank was lost in between. Start the same command: it does those steps again and goes on.",
        result.checkpoint(), step, result.reported());
  }
}
