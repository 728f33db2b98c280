package io.github.kklip.jobs;

import static io.github.kklip.config.Message.message;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.apache.spark.SparkContext;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerExecutorAdded;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The wait for the first executor of an embedded cluster. Spark starts a process that has ended
 * anew, without end and without a word, and a job waits for as long.
 */
final class EmbeddedExecutors {
  private static final Logger LOG = LoggerFactory.getLogger(EmbeddedExecutors.class);

  /** Processes that may end before the first has come; one may be killed by chance. */
  private static final int ENDED = 3;

  private static final long LOOK_MILLIS = 500;
  private static final Duration SILENCE = Duration.ofSeconds(20);
  private static final int LOG_LINES = 10;

  /** What Spark writes into a log before the process writes anything. */
  private static final Pattern HEADER = Pattern.compile("\\s*|=+|Spark Executor Command: .*");

  private static final int LOG_BYTES = 1 << 16;

  private EmbeddedExecutors() {}

  /**
   * Waits until a process of an embedded cluster has come; returns at once where there is no such
   * cluster or one is there already.
   *
   * @throws IllegalStateException that names the log of the last process, when several have ended
   *     or the time is over
   */
  static void await(SparkContext spark, Duration limit) {
    if (!spark.master().startsWith("local-cluster")) {
      return;
    }
    CountDownLatch added = new CountDownLatch(1);
    SparkListener listener =
        new SparkListener() {
          @Override
          public void onExecutorAdded(SparkListenerExecutorAdded event) {
            added.countDown();
          }
        };
    spark.addSparkListener(listener);
    try {
      Path work = Path.of(System.getenv("SPARK_HOME"), "work", spark.applicationId());
      await(
          work,
          limit,
          millis -> {
            requireSession(spark, work);
            return hasExecutor(spark) || added.await(millis, TimeUnit.MILLISECONDS);
          });
    } finally {
      spark.removeSparkListener(listener);
    }
  }

  /** A wait for a time; true when it was not in vain. */
  interface Wait {
    boolean came(long millis) throws InterruptedException;
  }

  /**
   * @param work where each process that Spark has started has a folder, whose name is a number
   */
  static void await(Path work, Duration limit, Wait wait) {
    long start = System.nanoTime();
    boolean said = false;
    try {
      while (!wait.came(LOOK_MILLIS)) {
        Duration waited = Duration.ofNanos(System.nanoTime() - start);
        // Executors are children of this process. A child that is something else delays the error.
        long ended = started(work) - ProcessHandle.current().children().count();
        if (ended >= ENDED) {
          throw new IllegalStateException(
              message(
                  "Cannot start executors because %s processes have ended before they reached this one. %s",
                  ended, log(work)));
        }
        if (waited.compareTo(limit) > 0) {
          throw new IllegalStateException(
              message(
                  "Cannot start executors because none has come within train.rendezvous-timeout = %s s. %s",
                  limit.toSeconds(), log(work)));
        }
        if (!said && waited.compareTo(SILENCE) > 0) {
          said = true;
          LOG.info("Waiting for executors, whose logs are in {}", work);
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(
          "Cannot start executors because the wait for them was interrupted.", e);
    }
  }

  private static void requireSession(SparkContext spark, Path work) {
    if (spark.isStopped()) {
      throw new IllegalStateException(
          message("Cannot start executors because Spark has closed its session. %s", log(work)));
    }
  }

  private static boolean hasExecutor(SparkContext spark) {
    // The driver is one of them.
    return spark.statusTracker().getExecutorInfos().length > 1;
  }

  private static int started(Path work) {
    return latest(work).map(EmbeddedExecutors::number).map(last -> last + 1).orElse(0);
  }

  private static Optional<Path> latest(Path work) {
    if (!Files.isDirectory(work)) {
      return Optional.empty();
    }
    try (Stream<Path> folders = Files.list(work)) {
      return folders
          .filter(folder -> folder.getFileName().toString().matches("\\d{1,9}"))
          .max(Comparator.comparingInt(EmbeddedExecutors::number));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static int number(Path folder) {
    return Integer.parseInt(folder.getFileName().toString());
  }

  /** The end of the newest log that says something. */
  private static String log(Path work) {
    for (int number = started(work) - 1; number >= 0; number--) {
      Path log = work.resolve(Integer.toString(number)).resolve("stderr");
      List<String> lines = lastLines(log);
      if (!lines.isEmpty()) {
        return message("The log %s ends with:\n%s", log, String.join("\n", lines));
      }
    }
    return message("There is no log in %s.", work);
  }

  private static List<String> lastLines(Path log) {
    try (var in = Files.newByteChannel(log)) {
      in.position(Math.max(0, in.size() - LOG_BYTES));
      byte[] bytes = java.nio.channels.Channels.newInputStream(in).readNBytes(LOG_BYTES);
      List<String> lines =
          new String(bytes, StandardCharsets.UTF_8)
              .lines()
              .filter(line -> !HEADER.matcher(line).matches())
              .map(String::strip)
              .toList();
      return lines.subList(Math.max(0, lines.size() - LOG_LINES), lines.size());
    } catch (IOException e) {
      return List.of();
    }
  }
}
