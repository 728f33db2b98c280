package io.github.kklip.train;

import ai.djl.ndarray.NDManager;
import io.github.kklip.comms.Collective;
import io.github.kklip.config.Role;
import io.github.kklip.config.Roles;
import io.github.kklip.config.TrainSettings;
import io.github.kklip.image.Preprocessing;
import io.github.kklip.loss.Losses;
import io.github.kklip.store.Shard;
import io.github.kklip.tensor.Torch;
import io.github.kklip.text.StudentTokenizer;
import io.github.kklip.train.checkpoint.Checkpoint;
import io.github.kklip.train.checkpoint.CheckpointStore;
import io.github.kklip.train.checkpoint.CheckpointWriter;
import io.github.kklip.train.data.PairLoader;
import io.github.kklip.train.data.TrainImages;
import io.github.kklip.train.metrics.RunFigures;
import io.github.kklip.train.metrics.RunMetrics;
import io.github.kklip.train.plan.SampleOrder;
import io.github.kklip.train.plan.TrainPlan;
import io.github.kklip.train.step.GradientStep;
import io.github.kklip.train.step.Student;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SortedMap;
import java.util.function.BooleanSupplier;
import org.apache.hadoop.conf.Configuration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Trains the student on one rank: prepares what {@link TrainingLoop} works with. All ranks run it
 * at the same time with the same plan, each with its own part of every batch, and hold the same
 * weights after every step.
 *
 * <p>It goes on from the newest whole checkpoint in {@code train.output}, and returns at once when
 * that is the final one. A step with a loss or gradient that is not finite on any rank changes
 * nothing on all of them; {@code train.max-skipped-steps} of them in a row end the run.
 */
public final class Trainer {
  private static final Logger LOG = LoggerFactory.getLogger(Trainer.class);

  private final TrainPlan plan;
  private final TrainSettings settings;
  private final Rank rank;
  private final Collective collective;
  private final Configuration configuration;
  private final TrainProgress progress;
  private final BooleanSupplier stop;

  private Trainer(
      TrainPlan plan,
      Rank rank,
      Configuration configuration,
      TrainProgress progress,
      BooleanSupplier stop) {
    this.plan = plan;
    this.settings = plan.settings().train();
    this.rank = rank;
    this.collective = rank.collective();
    this.configuration = configuration;
    this.progress = progress;
    this.stop = stop;
  }

  /**
   * Trains until all steps are done or any rank is told to stop. Then a checkpoint is written.
   *
   * @param progress is told by rank 0
   * @param stop asked once a step; true on any rank: finish the step, write a checkpoint and return
   * @throws IOException when data, checkpoints or metrics cannot be read or written; every failure
   *     is told to the other ranks before it is thrown
   */
  public static TrainResult run(
      TrainPlan plan,
      Rank rank,
      Configuration configuration,
      TrainProgress progress,
      BooleanSupplier stop)
      throws IOException {
    try {
      Torch.start(rank.threads());
      return new Trainer(plan, rank, configuration, progress, stop).run();
    } catch (IOException | RuntimeException | Error e) {
      rank.collective().abort(e);
      throw e;
    }
  }

  private boolean first() {
    return collective.rank() == 0;
  }

  private TrainResult run() throws IOException {
    CheckpointStore store = new CheckpointStore(settings.output(), configuration);
    try (Checkpoint checkpoint = first() ? RunStart.newest(plan, store) : null) {
      RunStart start = RunStart.agree(collective, checkpoint);
      if (!start.goesOn(plan)) {
        LOG.info("All {} steps are done: {}", start.step(), start.location());
        return new TrainResult(
            start.last(),
            RunFigures.of(start.last()),
            true,
            start.step(),
            start.location(),
            start.step());
      }
      try (NDManager manager = Torch.manager(rank.device());
          Student student = new Student(manager, plan, collective)) {
        if (first()) {
          start.register(plan, configuration);
        }
        start.fill(student, plan, collective, configuration);
        List<Shard> shards = start.shards(plan);
        return train(
            manager, student, store, start, start.plan(plan, shards, configuration), shards);
      }
    }
  }

  private TrainResult train(
      NDManager manager,
      Student student,
      CheckpointStore store,
      RunStart start,
      TrainPlan began,
      List<Shard> shards)
      throws IOException {
    SampleOrder order = plan.order(shards);
    SortedMap<String, String> circumstances = circumstances();
    if (first()) {
      announce(order, start, circumstances);
    }
    PairLoader.Options options =
        new PairLoader.Options(
            settings.loader().loaderThreads(),
            settings.loader().prefetch(),
            settings.comms().stepTimeout());
    try (StudentTokenizer tokenizer = StudentTokenizer.load(plan.tokenizer(), configuration);
        GradientStep gradient = new GradientStep(student, collective, settings);
        PairLoader loader =
            new PairLoader(
                began,
                configuration,
                shards,
                order,
                gradient.from(),
                gradient.to(),
                start.step(),
                plan.steps(order),
                tokenizer,
                new TrainImages(plan),
                options);
        CheckpointWriter writer =
            first()
                ? new CheckpointWriter(
                    collective,
                    store,
                    student.model(),
                    companions(),
                    plan.headInputs(),
                    settings.checkpoint().keep(),
                    settings.comms().stepTimeout())
                : null;
        RunMetrics metrics =
            first() ? new RunMetrics(plan, collective, configuration, start.step()) : null) {
      CheckpointSchedule checkpoints =
          new CheckpointSchedule(
              student, settings.checkpoint().everySteps(), writer, metrics, progress);
      TrainingLoop loop =
          new TrainingLoop(
              began,
              collective,
              start,
              order,
              student,
              gradient,
              loader,
              checkpoints,
              metrics,
              progress);
      try {
        TrainResult result = loop.run(manager, stop, shards, circumstances);
        // The others end with rank 0's checkpoint written, or with its failure.
        collective.barrier().await();
        return result;
      } catch (IOException | RuntimeException | Error e) {
        // Before the memory is freed in which sums may still go on.
        collective.abort(e);
        throw e;
      }
    }
  }

  /** What a checkpoint holds besides the weights and the run, so that it is whole in itself. */
  private Map<String, byte[]> companions() throws IOException {
    Map<String, byte[]> files =
        new LinkedHashMap<>(CheckpointWriter.tokenizerFiles(plan.tokenizer(), configuration));
    files.put(Preprocessing.FILE, plan.preprocessing().json());
    return files;
  }

  private SortedMap<String, String> circumstances() {
    SortedMap<String, String> circumstances =
        Roles.rounding(
            plan.settings(),
            Role.Output.RUN,
            Map.of(
                "train.ranks", Integer.toString(collective.size()),
                "threads", Integer.toString(Torch.threads()),
                "train.transport", collective.transport()));
    circumstances.put("device", rank.device().getDeviceType());
    circumstances.put("libtorch", Torch.version());
    circumstances.put(
        "products", Student.products(settings.step().precision(), rank.device()).name());
    return circumstances;
  }

  private void announce(
      SampleOrder order, RunStart start, SortedMap<String, String> circumstances) {
    long steps = plan.steps(order);
    LOG.info(
        "{} steps of {} pairs, {} for each epoch; {} pairs that fill no batch are left out of each epoch",
        steps,
        order.batch(),
        order.stepsPerEpoch(),
        order.remainder());
    if (settings.loss().contrastive() > 0) {
      LOG.info(
          "The contrastive loss of untrained weights is about ln({}) = {}",
          order.batch(),
          String.format(Locale.ROOT, "%.3f", Losses.expectedFirstContrastive(order.batch())));
    }
    if (start.complete()) {
      LOG.info("The run had ended at step {} and is extended to step {}", start.step(), steps);
    }
    if (start.state() != null && !start.state().circumstances().equals(circumstances)) {
      LOG.info(
          "Not bitwise the run that was interrupted, but equal within rounding: {}",
          String.join("; ", Roles.differences(start.state().circumstances(), circumstances)));
    }
    progress.started(start.step(), steps, Losses.expectedFirstContrastive(order.batch()));
  }
}
