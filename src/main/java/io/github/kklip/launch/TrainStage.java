package io.github.kklip.launch;

import static io.github.kklip.config.Message.message;

import io.github.kklip.comms.Collective;
import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.progress.Progress;
import io.github.kklip.progress.Reading;
import io.github.kklip.store.publication.PortableConfiguration;
import io.github.kklip.store.publication.Storage;
import io.github.kklip.tasks.StageLease;
import io.github.kklip.tasks.TaskPlace;
import io.github.kklip.tensor.Torch;
import io.github.kklip.train.MemoryEstimate;
import io.github.kklip.train.Rank;
import io.github.kklip.train.TrainResult;
import io.github.kklip.train.Trainer;
import io.github.kklip.train.checkpoint.CheckpointStore;
import io.github.kklip.train.plan.TrainPlan;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Trains the student on the ranks of a cluster: one run of {@code train}. */
public final class TrainStage {
  private static final Logger LOG = LoggerFactory.getLogger(TrainStage.class);

  private static final long LEAST_HEAP_MB = 512;

  /** Of Spark's own network buffers. */
  private static final long SPARKS_DIRECT_MB = 64;

  private TrainStage() {}

  /**
   * Trains, going on from the newest checkpoint in {@code train.output}, until all steps are done
   * or {@code stop} is completed.
   *
   * @param stop completed: the ranks finish their step, write a checkpoint and end
   * @throws SettingsException when settings, data and cluster do not fit
   * @throws IllegalStateException when the ranks failed more often than {@code train.restarts}
   *     allows
   * @throws io.github.kklip.store.publication.LeaseHeldException when another job trains into that
   *     folder
   */
  public static TrainResult run(
      JavaSparkContext spark, Settings settings, CompletableFuture<Void> stop) throws IOException {
    Configuration configuration = spark.hadoopConfiguration();
    TrainPlan plan = TrainPlan.of(settings, configuration);
    MemoryEstimate estimate = MemoryEstimate.of(plan);
    LOG.info("A rank takes about {} of native memory beside what libtorch itself takes", estimate);
    checkMemory(spark.getConf(), estimate);
    String output = settings.train().output();
    Path folder = Storage.path(output, configuration);
    try (StageLease lease =
            StageLease.acquire(spark, configuration, folder, "train", settings.leaseExpiry());
        StopFile stopFile = new StopFile(folder, new PortableConfiguration(configuration))) {
      var unused = stop.thenRun(stopFile::write);
      TrainResult result;
      AtomicLong reported = new AtomicLong();
      try (Progress progress = Progress.of("train", "steps").rejects("skipped").begin()) {
        result =
            new BarrierLauncher(spark, settings)
                .run(
                    "kklip train " + folder.getName(),
                    new ToDriver(progress, reported),
                    () -> newestStep(output, configuration, lease),
                    body(plan, stopFile))
                .get(0);
        // The last report may not have come with a heartbeat.
        if (result.last() != null) {
          progress.set(RankReports.reading(result.last(), result.firstStep()));
        }
        if (result.complete()) {
          progress.done();
        }
      }
      lease.check();
      return result.reported(reported.get());
    }
  }

  /** What rank 0 tells, on the driver. */
  private record ToDriver(Progress progress, AtomicLong reported) implements RankProgress {
    @Override
    public void line(String line) {
      LOG.info("{}", line);
    }

    @Override
    public void at(Reading reading, double epoch) {
      reported.accumulateAndGet(reading.counts().done(), Math::max);
      progress.set(reading);
    }
  }

  /**
   * Refuses what the JVM would refuse in the midst of a run, and what the cluster manager would
   * kill: only YARN and Kubernetes bound an executor's native memory.
   */
  public static void checkMemory(SparkConf conf, MemoryEstimate estimate) {
    long needed = (estimate.total() + MemoryEstimate.IDLE) >> 20;
    String master = conf.get("spark.master", "");
    long heap = conf.getSizeAsMb("spark.executor.memory", "1g");
    long direct = (estimate.direct() >> 20) + SPARKS_DIRECT_MB;
    boolean set =
        conf.get("spark.executor.extraJavaOptions", "").contains("-XX:MaxDirectMemorySize");
    if (!RankSlots.isLocal(conf) && !set && heap < direct) {
      throw new SettingsException(
          message(
              "Cannot train with spark.executor.memory = %s MiB because a JVM has no more direct memory than heap, and a rank and Spark take about %s MiB of it. Set spark.executor.memory to that, or train.prefetch lower, or -XX:MaxDirectMemorySize in spark.executor.extraJavaOptions.",
              heap, direct));
    }
    boolean bounded = master.startsWith("yarn") || master.startsWith("k8s");
    if (!bounded || TaskPlace.asksForGpus(conf)) {
      return;
    }
    double factor = conf.getDouble("spark.executor.memoryOverheadFactor", 0.1);
    long overhead =
        conf.contains("spark.executor.memoryOverhead")
            ? conf.getSizeAsMb("spark.executor.memoryOverhead")
            : Math.max(384, (long) (factor * heap));
    if (overhead < needed) {
      throw new SettingsException(
          message(
              "Cannot train with spark.executor.memoryOverhead = %s MiB because a rank takes about %s MiB outside of the heap: libtorch %s, training %s. Set spark.executor.memoryOverhead to that, or train.micro-batch lower.",
              overhead, needed, MemoryEstimate.IDLE >> 20, estimate));
    }
    if (heap < LEAST_HEAP_MB) {
      throw new SettingsException(
          message(
              "Cannot train with spark.executor.memory = %s MiB because Spark and the loader need at least %s MiB of heap. Set it to that or more.",
              heap, LEAST_HEAP_MB));
    }
  }

  /**
   * Refuses settings of Spark with which ranks can never run.
   *
   * @throws SettingsException that says which and why
   */
  public static void refuseWhatCannotWork(SparkConf conf, int ranks) {
    RankSlots.refuseWhatCannotWork(conf, ranks);
  }

  /** Apart, so that it takes along only what travels. */
  private static RankBody<TrainResult> body(TrainPlan plan, StopFile stopFile) {
    return (scope, collective) -> train(plan, stopFile, scope, collective);
  }

  private static TrainResult train(
      TrainPlan plan, StopFile stopFile, RankScope scope, Collective collective)
      throws IOException {
    TaskPlace place = scope.place();
    Torch.start(place.threads());
    Rank rank = new Rank(collective, Torch.device(place.device()), place.threads());
    // Rank 0 looks for the file and tells the others within the step's own reduction.
    try (StopFile.Poll poll = stopFile.poll(scope.rank() == 0)) {
      return Trainer.run(
          plan, rank, stopFile.configuration(), new RankReports(scope.progress()), poll::isAsked);
    }
  }

  /** Asked before each start of the ranks: without the lease there is none. */
  private static long newestStep(String output, Configuration configuration, StageLease lease) {
    try {
      lease.check();
      return CheckpointStore.newestStep(output, configuration);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
