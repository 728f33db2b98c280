package io.github.kklip.train;

import static io.github.kklip.config.Message.message;

import ai.djl.ndarray.NDManager;
import io.github.kklip.comms.Collective;
import io.github.kklip.config.Settings;
import io.github.kklip.loss.Losses;
import io.github.kklip.optim.Clip;
import io.github.kklip.optim.Schedule;
import io.github.kklip.store.Shard;
import io.github.kklip.store.publication.Json;
import io.github.kklip.store.publication.Storage;
import io.github.kklip.tensor.Torch;
import io.github.kklip.text.StudentTokenizer;
import io.github.kklip.train.checkpoint.Checkpoint;
import io.github.kklip.train.checkpoint.CheckpointStore;
import io.github.kklip.train.checkpoint.CheckpointWriter;
import io.github.kklip.train.checkpoint.TrainState;
import io.github.kklip.train.data.Batch;
import io.github.kklip.train.data.PairLoader;
import io.github.kklip.train.data.TrainImages;
import io.github.kklip.train.metrics.RunMetrics;
import io.github.kklip.train.metrics.StepReport;
import io.github.kklip.train.plan.SampleOrder;
import io.github.kklip.train.plan.TrainPlan;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.Future;
import java.util.function.BooleanSupplier;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Trains the student: the loop of one rank. All ranks run it at the same time with the same plan,
 * each with its own part of every batch, and hold the same weights after every step.
 *
 * <p>It goes on from the newest whole checkpoint in {@code train.output}, and returns at once when
 * that is the final one. A step with a loss or gradient that is not finite on any rank changes
 * nothing on all of them; {@code train.max-skipped-steps} of them in a row end the run.
 */
public final class Trainer {
  private static final Logger LOG = LoggerFactory.getLogger(Trainer.class);

  private final TrainPlan plan;
  private final Settings.Train settings;
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
    try (Checkpoint checkpoint = first() ? newest(store).orElse(null) : null) {
      TrainState state = agree(checkpoint == null ? null : checkpoint.state());
      String location = checkpoint == null ? "" : checkpoint.location();
      if (state != null && state.complete()) {
        LOG.info("All {} steps are done: {}", state.step(), location);
        return new TrainResult(
            state.last(), RunFigures.of(state.last()), true, state.step(), location);
      }
      try (NDManager manager = Torch.manager(rank.device());
          Student student = new Student(manager, plan, collective)) {
        if (checkpoint != null) {
          LOG.info("Going on after step {} from {}", state.step(), location);
          student.restore(checkpoint);
        } else if (first()) {
          student.initialise(plan.settings());
        }
        student.share(checkpoint, state == null ? 0 : state.updates());
        return train(manager, student, store, state);
      }
    }
  }

  private Optional<Checkpoint> newest(CheckpointStore store) throws IOException {
    Optional<Checkpoint> found = store.newest(true);
    if (found.isPresent()) {
      Checkpoint checkpoint = found.get();
      try {
        checkpoint.state().checkIdentity(plan.identity(), checkpoint.location());
      } catch (RuntimeException e) {
        checkpoint.close();
        throw e;
      }
    }
    return found;
  }

  /** Gives every rank the state that rank 0 goes on from; null: from the start. */
  private TrainState agree(TrainState own) {
    if (collective.size() == 1) {
      return own;
    }
    byte[] json = own == null ? new byte[0] : Json.pretty(own);
    int length = (int) collective.sum(first() ? json.length : 0)[0];
    if (length == 0) {
      return null;
    }
    ByteBuffer buffer = ByteBuffer.allocateDirect(length).order(ByteOrder.nativeOrder());
    if (first()) {
      buffer.put(0, json);
    }
    collective.broadcast(buffer, 0).await();
    byte[] received = new byte[length];
    buffer.get(0, received);
    return Json.parse(new String(received, StandardCharsets.UTF_8), TrainState.class);
  }

  /** The shards of the checkpoint, which must still be those of the dataset. */
  private List<Shard> shards(TrainState state) {
    if (state == null) {
      return plan.shards();
    }
    for (Shard shard : state.shards()) {
      if (!plan.shards().contains(shard)) {
        throw new IllegalStateException(
            message(
                "Cannot go on from the checkpoint because the dataset %s no longer has the shard that it was trained on: %s. Bring the dataset back, or use another train.output.",
                plan.dataset(), shard));
      }
    }
    if (state.shards().size() < plan.shards().size() && first()) {
      LOG.info(
          "The run keeps to the {} shards that it began with; the dataset has {} now",
          state.shards().size(),
          plan.shards().size());
    }
    return state.shards();
  }

  private TrainResult train(
      NDManager manager, Student student, CheckpointStore store, TrainState state)
      throws IOException {
    List<Shard> shards = shards(state);
    SampleOrder order = plan.order(shards);
    long steps = plan.steps(order);
    long firstStep = state == null ? 0 : state.step();
    SortedMap<String, String> circumstances = circumstances();
    if (first()) {
      announce(order, steps, firstStep, state, circumstances);
    }
    PairLoader.Options options =
        new PairLoader.Options(
            settings.loaderThreads(), settings.prefetch(), settings.stepTimeout());
    try (StudentTokenizer tokenizer = StudentTokenizer.load(plan.tokenizer(), configuration);
        GradientStep gradient = new GradientStep(student, collective, settings);
        PairLoader loader =
            new PairLoader(
                plan,
                configuration,
                shards,
                order,
                gradient.from(),
                gradient.to(),
                firstStep,
                steps,
                tokenizer,
                new TrainImages(plan),
                options);
        CheckpointWriter writer =
            first()
                ? new CheckpointWriter(
                    collective,
                    store,
                    student.model(),
                    tokenizerFiles(),
                    settings.checkpoint().keep(),
                    settings.stepTimeout())
                : null;
        RunMetrics metrics =
            first() ? new RunMetrics(plan, collective, configuration, firstStep) : null) {
      Loop loop = new Loop(student, gradient, loader, order, steps, writer, metrics);
      try {
        TrainResult result = loop.run(manager, state, shards, circumstances);
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

  private SortedMap<String, String> circumstances() {
    SortedMap<String, String> circumstances = new TreeMap<>();
    circumstances.put("ranks", Integer.toString(collective.size()));
    circumstances.put("threads", Integer.toString(Torch.threads()));
    circumstances.put("transport", collective.transport());
    circumstances.put("device", rank.device().getDeviceType());
    circumstances.put("libtorch", Torch.version());
    circumstances.put("products", Student.products(settings.precision(), rank.device()).name());
    circumstances.put("micro-batch", Integer.toString(settings.microBatch()));
    return circumstances;
  }

  private void announce(
      SampleOrder order,
      long steps,
      long firstStep,
      TrainState state,
      SortedMap<String, String> circumstances) {
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
    if (state != null && !state.circumstances().equals(circumstances)) {
      LOG.info(
          "Not bitwise the run that was interrupted, but equal within rounding: it ran with {}, and goes on with {}",
          state.circumstances(),
          circumstances);
    }
    progress.started(firstStep, steps, Losses.expectedFirstContrastive(order.batch()));
  }

  /** The files of the tokenizer's folder, so that a checkpoint is whole in itself. */
  private Map<String, byte[]> tokenizerFiles() throws IOException {
    Map<String, byte[]> files = new LinkedHashMap<>();
    for (String name : Checkpoint.TOKENIZER_FILES) {
      Path path = new Path(Storage.path(plan.tokenizer(), configuration), name);
      try (InputStream in = Storage.of(configuration, path).open(path)) {
        files.put(name, in.readAllBytes());
      } catch (FileNotFoundException e) {
        // tokenizer.json was loaded; the others are not always there.
        LOG.debug("The tokenizer has no {}", path);
      }
    }
    return files;
  }

  /** A checkpoint that was begun and has not come together yet; the same on all ranks. */
  private record Saving(TrainState state, Future<Void> publication) {}

  /** The steps of one attempt. */
  private final class Loop {
    private final Student student;
    private final GradientStep gradient;
    private final PairLoader loader;
    private final SampleOrder order;
    private final long steps;
    private final CheckpointWriter writer;
    private final RunMetrics metrics;
    private final Schedule schedule;
    private final Clip clip = new Clip(settings.clipNorm());
    private long step;
    private int skippedInRow;
    private long skipped;
    private boolean due;
    private Saving saving;
    private String checkpoint = "";
    private final RunTotals totals = new RunTotals();

    // Since the last report.
    private long reportedStep;
    private long reportedTime;
    private double waited;

    Loop(
        Student student,
        GradientStep gradient,
        PairLoader loader,
        SampleOrder order,
        long steps,
        CheckpointWriter writer,
        RunMetrics metrics) {
      this.student = student;
      this.gradient = gradient;
      this.loader = loader;
      this.order = order;
      this.steps = steps;
      this.writer = writer;
      this.metrics = metrics;
      schedule = new Schedule(settings.lr(), Math.min(settings.warmupSteps(), steps), steps);
    }

    TrainResult run(
        NDManager manager,
        TrainState from,
        List<Shard> shards,
        SortedMap<String, String> circumstances)
        throws IOException {
      step = from == null ? 0 : from.step();
      skippedInRow = from == null ? 0 : from.skippedInRow();
      skipped = from == null ? 0 : from.skipped();
      long firstStep = step;
      reportedStep = step;
      reportedTime = System.nanoTime();
      StepReport last = from == null ? null : from.last();
      boolean stopped = false;
      while (step < steps && !stopped) {
        long waitedBefore = loader.waited();
        Batch batch = loader.next();
        double waitedNow = (loader.waited() - waitedBefore) / 1e9;
        collect();
        double lr = schedule.at(step);
        GradientStep.Sums sums;
        try (NDManager scope = manager.newSubManager()) {
          double busy = first() && (saving != null || writer.isBusy()) ? 1 : 0;
          sums = gradient.compute(scope, batch, stop.getAsBoolean() ? 1 : 0, waitedNow, busy);
        }
        double norm = update(manager, batch, sums, lr);
        loader.recycle(batch);
        step++;
        stopped = sums.extra()[0] > 0;
        waited += sums.extra()[1];
        totals.add(sums.losses(), sums.extra()[1]);
        boolean end = step == steps || stopped;
        due |=
            settings.checkpoint().everySteps() > 0
                && step % settings.checkpoint().everySteps() == 0;
        // One that is due while another is being written is made when that one is whole.
        boolean save = end || (due && sums.extra()[2] == 0);
        if (save || step % settings.logEverySteps() == 0) {
          last = report(sums, lr, norm);
          if (first()) {
            metrics.add(last);
            progress.step(last);
          }
        }
        if (first()) {
          tell(writer.poll());
        }
        if (save) {
          due = false;
          checkpoint(
              new TrainState(
                  TrainState.FORMAT,
                  step,
                  student.optimizer().steps(),
                  skippedInRow,
                  skipped,
                  step == steps,
                  last,
                  plan.identity(),
                  circumstances,
                  shards));
        }
      }
      while (saving != null) {
        collect();
      }
      if (first()) {
        tell(writer.await());
        metrics.finish(step == steps);
      }
      RunFigures figures = totals.figures(order.batch(), collective.size(), last);
      return new TrainResult(last, figures, step == steps, firstStep, checkpoint);
    }

    /** Starts to write a checkpoint: the step waits for the copy alone, the last one for all. */
    private void checkpoint(TrainState state) {
      while (saving != null) {
        collect();
      }
      if (first()) {
        tell(writer.await());
      }
      long start = System.nanoTime();
      student.startSnapshot();
      saving = new Saving(state, first() ? metrics.publication() : null);
      if (first()) {
        LOG.info(
            "The step waited {} ms for a copy of weights and moments",
            (System.nanoTime() - start) / 1_000_000);
      }
      collect();
    }

    /** Goes on with the checkpoint that was begun, if any: rank 0 writes it when it has it all. */
    private void collect() {
      Saving now = saving;
      if (now != null
          && !student.collect(snapshot -> writer.start(now.state, snapshot, now.publication))) {
        saving = null;
      }
    }

    private void tell(Optional<CheckpointWriter.Written> written) {
      written.ifPresent(
          whole -> {
            checkpoint = whole.location();
            progress.checkpoint(whole.step(), whole.location());
          });
    }

    /**
     * Takes the step, or skips it on every rank: all have the same sums and the same gradient.
     *
     * @return norm of the gradient
     */
    private double update(NDManager manager, Batch batch, GradientStep.Sums sums, double lr) {
      double norm = student.gradientNorm();
      double loss = sums.losses().get(Losses.TOTAL);
      if (Double.isFinite(loss) && Double.isFinite(norm)) {
        student.update(lr, clip.divisor(norm));
        skippedInRow = 0;
      } else {
        skippedInRow++;
        skipped++;
        String what = Double.isFinite(loss) ? "the gradient's norm is " + norm : notFinite(sums);
        LOG.warn("Skipped step {} because {}", step, what);
        if (skippedInRow >= settings.maxSkippedSteps()) {
          if (Double.isFinite(loss)) {
            what += suspects(manager, batch, sums.losses().keySet());
          }
          throw new IllegalStateException(
              message(
                  "Cannot go on training because %s steps in a row had no finite loss and gradient: in step %s %s. Lower train.lr, lengthen train.warmup-steps, or use train.precision = float32.",
                  skippedInRow, step, what));
        }
      }
      student.model().parameters().zeroGradients();
      return norm;
    }

    private String notFinite(GradientStep.Sums sums) {
      for (Map.Entry<String, Double> part : sums.losses().entrySet()) {
        if (!Double.isFinite(part.getValue()) && !part.getKey().equals(Losses.TOTAL)) {
          return "the loss " + part.getKey() + " is " + part.getValue();
        }
      }
      return "the loss is " + sums.losses().get(Losses.TOTAL);
    }

    /** Which parts of the loss have, alone, a gradient that is not finite: for the message. */
    private String suspects(NDManager manager, Batch batch, Set<String> parts) {
      Settings.LossWeights weights = settings.loss();
      List<String> suspects = new ArrayList<>();
      for (String part : parts) {
        if (part.equals(Losses.TOTAL)) {
          continue;
        }
        student.model().parameters().zeroGradients();
        Settings.LossWeights alone =
            new Settings.LossWeights(
                part.equals(Losses.EMB) ? weights.emb() : 0,
                part.equals(Losses.CONCEPT) ? weights.concept() : 0,
                part.equals(Losses.CONTRASTIVE) ? weights.contrastive() : 0);
        try (GradientStep again = new GradientStep(student, collective, settings, alone);
            NDManager scope = manager.newSubManager()) {
          again.compute(scope, batch);
          if (!Double.isFinite(student.gradientNorm())) {
            suspects.add(part);
          }
        }
      }
      return suspects.isEmpty()
          ? ", though each part of the loss has a finite gradient when it is computed again"
          : ", from the loss " + String.join(" and the loss ", suspects);
    }

    private StepReport report(GradientStep.Sums sums, double lr, double norm) {
      long now = System.nanoTime();
      double seconds = Math.max(1e-9, (now - reportedTime) / 1e9);
      SortedMap<String, Double> parts = new TreeMap<>(sums.losses());
      double loss = parts.remove(Losses.TOTAL);
      StepReport report =
          new StepReport(
              step,
              steps,
              (double) step / order.stepsPerEpoch(),
              loss,
              parts,
              student.logitScale(),
              lr,
              norm,
              skipped,
              (step - reportedStep) * order.batch() / seconds,
              waited / (seconds * collective.size()));
      reportedStep = step;
      reportedTime = now;
      waited = 0;
      totals.endInterval();
      return report;
    }
  }
}
