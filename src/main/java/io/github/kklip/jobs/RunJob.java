package io.github.kklip.jobs;

import io.github.kklip.check.Stages;
import java.util.List;
import java.util.Map;

/** All stages from raw data to an evaluated, exported model. Each stage skips what is whole. */
final class RunJob implements Job<RunSummary> {
  @Override
  public String purpose() {
    return "Runs all of these stages that the settings need, skipping what is whole.";
  }

  @Override
  public List<String> settings() {
    return List.of("");
  }

  @Override
  public RunSummary run(JobContext context) throws Exception {
    Map<String, Job<?>> jobs = StageJobs.all();
    StageResults results = new StageResults();
    for (String stage : Stages.ofRun(context.settings())) {
      results.run(stage, context.stop(), () -> jobs.get(stage).run(context));
    }
    return new RunSummary(results.all());
  }
}
