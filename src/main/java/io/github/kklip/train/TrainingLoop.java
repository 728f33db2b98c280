package io.github.kklip.train;

import ai.djl.ndarray.NDManager;
import io.github.kklip.comms.Collective;
import io.github.kklip.config.TrainSettings;
import io.github.kklip.optim.Schedule;
import io.github.kklip.store.Shard;
import io.github.kklip.train.checkpoint.TrainState;
import io.github.kklip.train.data.Batch;
import io.github.kklip.train.data.PairLoader;
import io.github.kklip.train.metrics.RunMetrics;
import io.github.kklip.train.metrics.StepReport;
import io.github.kklip.train.plan.SampleOrder;
import io.github.kklip.train.plan.TrainPlan;
import io.github.kklip.train.step.GradientStep;
import io.github.kklip.train.step.StepSignals;
import io.github.kklip.train.step.StepSums;
import io.github.kklip.train.step.Student;
import java.io.IOException;
import java.util.List;
import java.util.SortedMap;
import java.util.function.BooleanSupplier;

/**
 * The steps of one attempt on one rank: take this rank's rows of the batch, compute the gradient of
 * the loss L = alpha L_emb + beta L_concept + gamma L_clip over the batch of all ranks, take the
 * step or skip it, report, save.
 */
final class TrainingLoop {
  private final TrainPlan plan;
  private final TrainSettings settings;
  private final RunStart start;
  private final long steps;
  private final Student student;
  private final GradientStep gradient;
  private final PairLoader loader;
  private final Schedule schedule;
  private final SkipPolicy skips;
  private final RunReports reports;
  private final CheckpointSchedule checkpoints;
  private final RunMetrics metrics;
  private final TrainProgress progress;

  /**
   * Begins the attempt's first report.
   *
   * @param metrics of rank 0; null on the others
   * @param progress is told by rank 0
   */
  TrainingLoop(
      TrainPlan plan,
      Collective collective,
      RunStart start,
      SampleOrder order,
      Student student,
      GradientStep gradient,
      PairLoader loader,
      CheckpointSchedule checkpoints,
      RunMetrics metrics,
      TrainProgress progress) {
    this.plan = plan;
    this.start = start;
    this.student = student;
    this.gradient = gradient;
    this.loader = loader;
    this.checkpoints = checkpoints;
    this.metrics = metrics;
    this.progress = progress;
    settings = plan.settings().train();
    steps = plan.steps(order);
    schedule =
        new Schedule(
            settings.schedule().lr(), Math.min(settings.schedule().warmupSteps(), steps), steps);
    skips = new SkipPolicy(student, collective, settings, start.state());
    reports =
        new RunReports(
            order, steps, start.step(), collective.size(), settings.step().logEverySteps());
  }

  /**
   * Trains until all steps are done or any rank is told to stop, and until the last checkpoint is
   * whole.
   *
   * @param stop asked once a step
   * @param circumstances written into checkpoints, as are the shards
   */
  TrainResult run(
      NDManager manager,
      BooleanSupplier stop,
      List<Shard> shards,
      SortedMap<String, String> circumstances)
      throws IOException {
    long step = start.step();
    StepReport last = start.last();
    boolean stopped = false;
    while (step < steps && !stopped) {
      long before = loader.waited();
      Batch batch = loader.next();
      double waited = (loader.waited() - before) / 1e9;
      checkpoints.advance();
      StepSums sums;
      try (NDManager scope = manager.newSubManager()) {
        sums =
            gradient.compute(
                scope, batch, StepSignals.of(stop.getAsBoolean(), waited, checkpoints.isBusy()));
      }
      double lr = schedule.at(step);
      double norm = skips.takeOrSkip(manager, batch, sums, step, lr);
      loader.recycle(batch);
      step++;
      stopped = sums.signals().stopAsked() > 0;
      reports.add(sums.losses(), sums.signals().secondsWaited(), skips.skippedInRow() == 0);
      boolean saves = checkpoints.isDue(step, step == steps || stopped, sums.signals());
      if (saves || step % settings.step().logEverySteps() == 0) {
        last = reports.report(step, sums.losses(), student.logitScale(), lr, norm, skips.skipped());
        if (metrics != null) {
          metrics.add(last);
          progress.step(last);
        }
      }
      checkpoints.poll();
      if (saves) {
        checkpoints.begin(
            new TrainState(
                TrainState.FORMAT,
                step,
                student.optimizer().steps(),
                skips.skippedInRow(),
                skips.skipped(),
                step == steps,
                last,
                plan.identity(),
                circumstances,
                shards,
                plan.derived(shards)));
      }
    }
    String checkpoint = checkpoints.finish();
    if (metrics != null) {
      metrics.finish(step == steps);
    }
    return new TrainResult(
        last, reports.figures(last), step == steps, start.step(), checkpoint, step);
  }
}
