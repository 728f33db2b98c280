package io.github.kklip.launch;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.SettingsException;
import io.github.kklip.tasks.LiveUpdates;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import org.apache.spark.ExceptionFailure;
import org.apache.spark.TaskFailedReason;
import org.apache.spark.TaskKilled;
import org.apache.spark.scheduler.AccumulableInfo;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerExecutorMetricsUpdate;
import org.apache.spark.scheduler.SparkListenerExecutorRemoved;
import org.apache.spark.scheduler.SparkListenerStageSubmitted;
import org.apache.spark.scheduler.SparkListenerTaskEnd;
import org.apache.spark.scheduler.SparkListenerTaskStart;
import org.apache.spark.scheduler.StageInfo;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import scala.Option;
import scala.Some;

/** Sees on the driver how the stage of the ranks fares. Spark calls it from one thread. */
final class StageWatch extends SparkListener {
  private static final Logger LOG = LoggerFactory.getLogger(StageWatch.class);

  private final String group;
  private final RankProgress progress;

  /** Stages of the launch, with the time since which one waits to start; 0: it has started. */
  private final Map<Integer, Long> waiting = new HashMap<>();

  /** By the stage's number, its newest attempt. */
  private final Map<Integer, StageInfo> stages = new HashMap<>();

  /** Number of the newest report of each accumulator. */
  private final Map<Long, Long> shown = new HashMap<>();

  private String failure = "";
  private boolean failureIsSecondary;

  /** The failure is of an attempt before the one that runs: it counts until that one fails. */
  private boolean failureIsOld;

  private boolean useless;

  StageWatch(String group, RankProgress progress) {
    this.group = group;
    this.progress = progress;
  }

  @Override
  public synchronized void onStageSubmitted(SparkListenerStageSubmitted event) {
    Properties properties = event.properties();
    if (properties != null && group.equals(properties.getProperty("spark.jobGroup.id"))) {
      int attempt = event.stageInfo().attemptNumber();
      waiting.put(event.stageInfo().stageId(), System.nanoTime());
      stages.put(event.stageInfo().stageId(), event.stageInfo());
      shown.clear();
      if (attempt > 0) {
        LOG.warn("Spark starts the ranks again (attempt {}). Before: {}", attempt, failure);
        failureIsOld = true;
      }
    }
  }

  @Override
  public synchronized void onTaskStart(SparkListenerTaskStart event) {
    waiting.replace(event.stageId(), 0L);
  }

  @Override
  public synchronized void onTaskEnd(SparkListenerTaskEnd event) {
    if (!waiting.containsKey(event.stageId())
        || !(event.reason() instanceof TaskFailedReason reason)
        || event.reason() instanceof TaskKilled) {
      return;
    }
    if (useless) {
      return; // What follows a refusal says less than the refusal.
    }
    String text =
        message(
            "rank %s on %s (executor %s): ",
            event.taskInfo().index(), event.taskInfo().host(), event.taskInfo().executorId());
    boolean secondary = false;
    if (reason instanceof ExceptionFailure exception) {
      text += exception.description();
      // The cause of a failure is worth more than its shadow on another rank.
      secondary = exception.description().contains("This failure here is secondary");
      useless = exception.className().equals(SettingsException.class.getName());
    } else {
      text += reason.toErrorString();
    }
    if (failure.isEmpty() || failureIsOld || (failureIsSecondary && !secondary)) {
      failure = text;
      failureIsOld = false;
      failureIsSecondary = secondary;
    }
  }

  @Override
  public void onExecutorRemoved(SparkListenerExecutorRemoved event) {
    LOG.warn("Executor {} is gone: {}", event.executorId(), event.reason());
  }

  @Override
  public synchronized void onExecutorMetricsUpdate(SparkListenerExecutorMetricsUpdate event) {
    LiveUpdates.visit(
        event,
        (stage, task, accumulator) -> {
          if (waiting.containsKey(stage)) {
            show(stages.get(stage), accumulator);
          }
        });
  }

  /** Spark's UI shows accumulators of tasks that have ended; of these it is told while they run. */
  private void show(StageInfo stage, AccumulableInfo info) {
    if (!info.update().isDefined()
        || !(info.update().get() instanceof LatestReport.Report<?> report)
        || report.number() <= shown.getOrDefault(info.id(), 0L)) {
      return;
    }
    shown.put(info.id(), report.number());
    if (report.value() instanceof Reports.Position position) {
      progress.at(position.reading(), position.epoch());
      return;
    }
    stage
        .accumulables()
        .put(
            info.id(),
            new AccumulableInfo(
                info.id(),
                info.name(),
                Option.empty(),
                Some.apply(report),
                false,
                true,
                Option.empty()));
    if (info.name().contains(Reports.LINE)) {
      progress.line(report.toString());
    }
  }

  /** How long, in nanoseconds, a stage has been waiting to start; 0 when none does. */
  synchronized long waitingTime() {
    long now = System.nanoTime();
    return waiting.values().stream().mapToLong(t -> t == 0 ? 0 : now - t).max().orElse(0);
  }

  /** The first cause of the last failure, if Spark told. */
  synchronized Optional<String> failure() {
    return failure.isEmpty() ? Optional.empty() : Optional.of(failure);
  }

  /** Whether a rank refused its settings: another start would end the same. */
  synchronized boolean isUseless() {
    return useless;
  }
}
