package io.github.kklip.launch;

import static io.github.kklip.config.Message.message;

import io.github.kklip.comms.TransportOptions;
import io.github.kklip.comms.tcp.Handshake;
import io.github.kklip.comms.transport.Timeouts;
import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.config.TrainSettings;
import io.github.kklip.tasks.SparkFailures;
import io.github.kklip.tasks.TaskPlace;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.LongSupplier;
import java.util.stream.IntStream;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaFutureAction;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.resource.ResourceProfileBuilder;
import org.apache.spark.resource.TaskResourceRequests;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import scala.reflect.ClassTag$;

/**
 * Runs ranks that work together, one for each GPU or executor, in a barrier stage of Spark.
 *
 * <p>When a rank fails, Spark starts the stage again as often as {@code
 * spark.stage.maxConsecutiveAttempts} says, and after that the driver submits it anew. The body
 * finds out by itself how far it had come.
 */
public final class BarrierLauncher {
  private static final Logger LOG = LoggerFactory.getLogger(BarrierLauncher.class);

  /** Any of these says that what goes over the network is to be encrypted. */
  private static final List<String> ENCRYPTION =
      List.of(
          "spark.network.crypto.enabled",
          "spark.authenticate.enableSaslEncryption",
          "spark.ssl.enabled",
          "spark.ssl.rpc.enabled");

  /** Any of these says that Spark's own calls are encrypted, which bring the ranks their secret. */
  private static final List<String> ENCRYPTED_CALLS =
      List.of(
          "spark.network.crypto.enabled",
          "spark.authenticate.enableSaslEncryption",
          "spark.ssl.rpc.enabled");

  private final JavaSparkContext spark;
  private final TrainSettings train;
  private final int ranks;
  private final int threads;

  /**
   * A launcher on this cluster.
   *
   * @param settings for the ranks, their timeouts, port, restarts and native threads
   */
  public BarrierLauncher(JavaSparkContext spark, Settings settings) {
    this(spark, settings, settings.train().ranks());
  }

  BarrierLauncher(JavaSparkContext spark, Settings settings, int ranks) {
    this.spark = spark;
    this.train = settings.train();
    this.ranks = ranks;
    this.threads = settings.threads();
  }

  /**
   * Runs the body on every rank and waits for all.
   *
   * @param name of the run, for Spark's UI
   * @param progress takes what rank 0 reports; called on a thread of Spark
   * @param mark how far the work has come; a start after which it has grown is not counted as a
   *     restart
   * @return what the ranks returned, in order
   * @throws SettingsException when the cluster or the settings can never work
   * @throws IllegalStateException when there are too few slots in time, or the ranks failed as
   *     often as allowed; with the cause of the last failure
   */
  public <R> List<R> run(String name, RankProgress progress, LongSupplier mark, RankBody<R> body) {
    int failures = 0;
    for (int submission = 1; ; submission++) {
      long before = mark.getAsLong();
      RankSlots slots = RankSlots.await(spark.sc(), ranks, train.comms().rendezvousTimeout());
      try {
        return submit(name, submission, slots, progress, body);
      } catch (LaunchFailure e) {
        failures = mark.getAsLong() > before ? 1 : failures + 1;
        if (failures > train.comms().restarts()) {
          throw new IllegalStateException(
              message(
                  "Cannot finish %s because it failed %s times in a row without coming further (train.restarts = %s). The last failure was of %s",
                  name, failures, train.comms().restarts(), e.getMessage()),
              e);
        }
        LOG.warn("{} is submitted again after the failure of {}", name, e.getMessage());
      }
    }
  }

  private <R> List<R> submit(
      String name, int submission, RankSlots slots, RankProgress progress, RankBody<R> body) {
    byte[] secret = new byte[Handshake.SECRET_BYTES];
    new SecureRandom().nextBytes(secret);
    Reports reports = new Reports(spark.sc());
    Timeouts timeouts =
        new Timeouts(
            train.comms().rendezvousTimeout(),
            train.comms().heartbeatTimeout(),
            train.comms().stepTimeout());
    RankTask<R> task =
        new RankTask<>(
            secret,
            timeouts,
            transportOptions(spark.getConf(), train),
            train.comms().port(),
            threads(slots),
            reports,
            body);
    String group = "kklip-" + UUID.randomUUID();
    StageWatch watch = new StageWatch(group, progress);
    spark.sc().addSparkListener(watch);
    // Interrupts, so that a rank in a wait of its own ends when another one fails.
    spark.setJobGroup(group, name + ", " + ranks + " ranks, attempt " + submission, true);
    try {
      JavaFutureAction<List<RankTask.RankResult<R>>> job = barrierStage(slots, task).collectAsync();
      return await(job, name, watch).stream()
          .sorted(Comparator.comparingInt(RankTask.RankResult::rank))
          .map(RankTask.RankResult::value)
          .toList();
    } catch (RuntimeException e) {
      spark.sc().cancelJobGroup(group);
      throw e;
    } finally {
      spark.clearJobGroup();
      spark.sc().removeSparkListener(watch);
    }
  }

  /** Ranks are as careful with their connections as Spark is, unless they are told not to be. */
  static TransportOptions transportOptions(SparkConf conf, TrainSettings train) {
    boolean sparkEncrypts = ENCRYPTION.stream().anyMatch(key -> conf.getBoolean(key, false));
    boolean encrypted =
        switch (train.comms().encryption()) {
          case ON -> true;
          case OFF -> false;
          case AUTO -> sparkEncrypts;
        };
    if (sparkEncrypts && !encrypted) {
      LOG.warn(
          "Spark encrypts its connections, but gradients travel in the clear: train.encryption = off");
    }
    boolean callsEncrypted = ENCRYPTED_CALLS.stream().anyMatch(key -> conf.getBoolean(key, false));
    if (encrypted && !callsEncrypted && !onOneMachine(conf)) {
      LOG.warn(
          "Connections between ranks are encrypted, but whoever listens to the network can read them: Spark sends the ranks the secret in the clear, because its own calls are not encrypted. Set spark.authenticate = true, spark.network.crypto.enabled = true and spark.network.crypto.authEngineVersion = 2; see SECURITY.md.");
    }
    if (train.comms().transport() == TrainSettings.TransportChoice.NCCL) {
      requireNccl(conf, encrypted);
    }
    return new TransportOptions(train.comms().transport(), train.comms().sharedFolder(), encrypted);
  }

  /** Whether driver and executors are on one machine, so that no network is between them. */
  private static boolean onOneMachine(SparkConf conf) {
    return conf.get("spark.master", "").startsWith("local");
  }

  private static void requireNccl(SparkConf conf, boolean encrypted) {
    if (encrypted) {
      throw new SettingsException(
          "Cannot use train.transport = nccl because connections are to be encrypted, as Spark's are or train.encryption = on says, and NCCL cannot encrypt. Set train.encryption = off to let gradients travel in the clear, or train.transport = auto.");
    }
    if (!conf.contains(TaskPlace.GPUS_PER_TASK)) {
      throw new SettingsException(
          "Cannot use train.transport = nccl because Spark gives tasks no GPUs. Set spark.executor.resource.gpu.amount and spark.task.resource.gpu.amount = 1, or train.transport = auto.");
    }
  }

  /** In local mode no task can ask for cores: the only rank is told that it has them all. */
  private int threads(RankSlots slots) {
    return threads == 0 && RankSlots.isLocal(spark.getConf()) ? slots.cpusPerRank() : threads;
  }

  private <R> JavaRDD<RankTask.RankResult<R>> barrierStage(RankSlots slots, RankTask<R> task) {
    JavaRDD<Integer> numbers = spark.parallelize(IntStream.range(0, ranks).boxed().toList(), ranks);
    if (!RankSlots.isLocal(spark.getConf())) {
      numbers = withResources(numbers, slots);
    }
    return numbers
        .rdd()
        .barrier()
        .mapPartitions(
            task, false, ClassTag$.MODULE$.<RankTask.RankResult<R>>apply(RankTask.RankResult.class))
        .toJavaRDD()
        // A shuffle, because Spark starts only the barrier stages that write one again.
        .repartition(1);
  }

  private static JavaRDD<Integer> withResources(JavaRDD<Integer> numbers, RankSlots slots) {
    TaskResourceRequests requests = new TaskResourceRequests();
    if (slots.cpusPerRank() > 0) {
      requests.cpus(slots.cpusPerRank());
    }
    if (slots.gpusPerRank() > 0) {
      requests.resource(TaskPlace.GPU, slots.gpusPerRank());
    }
    return requests.requests().isEmpty()
        ? numbers
        : numbers.withResources(new ResourceProfileBuilder().require(requests).build());
  }

  private <T> T await(JavaFutureAction<T> job, String name, StageWatch watch) {
    Duration limit = train.comms().rendezvousTimeout();
    try {
      while (true) {
        try {
          return job.get(500, TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
          if (watch.isUseless()) {
            throw new SettingsException(watch.failure().orElse(name + " was refused."));
          }
          // A barrier stage that lacks an executor waits for it without end.
          if (watch.waitingTime() > limit.toNanos()) {
            RankSlots slots = RankSlots.now(spark.sc(), ranks);
            throw new IllegalStateException(
                RankSlots.tooFew(slots, ranks, limit)
                    + watch.failure().map(f -> " Before that failed " + f).orElse(""));
          }
        }
      }
    } catch (ExecutionException e) {
      String cause = watch.failure().orElseGet(() -> SparkFailures.message(e));
      if (watch.isUseless()) {
        throw new SettingsException(cause, e);
      }
      throw new LaunchFailure(cause, e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(
          message("Cannot finish %s because it was interrupted.", name), e);
    }
  }

  /** All of Spark's attempts have failed. */
  private static final class LaunchFailure extends RuntimeException {
    private static final long serialVersionUID = 1L;

    LaunchFailure(String message, Throwable cause) {
      super(message, cause);
    }
  }
}
