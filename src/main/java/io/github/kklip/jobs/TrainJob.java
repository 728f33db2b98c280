package io.github.kklip.jobs;

import static io.github.kklip.config.Message.message;

import io.github.kklip.launch.TrainStage;
import io.github.kklip.train.TrainResult;
import java.util.LinkedHashMap;
import java.util.Map;

/** Trains the student. */
final class TrainJob implements Job {
  @Override
  public Map<String, Object> run(JobContext context) throws Exception {
    TrainResult result =
        context
            .stop()
            .follow(stop -> TrainStage.run(context.javaSpark(), context.settings(), stop));
    if (!result.complete()) {
      throw new StoppedException(
          message(
              "Stopped as asked, with all that was learned in the checkpoint %s. Start the same command to go on.",
              result.checkpoint()));
    }
    Map<String, Object> fields = new LinkedHashMap<>();
    fields.put("steps", result.last().step());
    fields.put("first_step", result.firstStep());
    fields.put("loss", result.figures().loss());
    fields.put("losses", result.figures().losses());
    fields.put("logit_scale", result.last().logitScale());
    fields.put("skipped", result.last().skipped());
    fields.put("samples_per_s", result.figures().samplesPerSecond());
    fields.put("data_wait", result.figures().dataWait());
    fields.put("checkpoint", result.checkpoint());
    return fields;
  }
}
