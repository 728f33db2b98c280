package io.github.kklip.progress;

import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Tells how the running stages go. The log gets a line of each after ten seconds, then one in the
 * stage's interval, and its end. A terminal shows the newest stage in one line that is rewritten,
 * and keeps the last line of each.
 */
public final class ProgressBoard {
  private static final Logger LOG = LoggerFactory.getLogger(Progress.class);

  private static final long FIRST = TimeUnit.SECONDS.toNanos(10);
  private static final long REWRITE_MILLIS = 500;

  private final LongSupplier clock;
  private final Consumer<String> log;
  private final TerminalLine terminal;

  /** With the time at which each is due in the log; in the order of their beginnings. */
  private final Map<Progress, Long> running = new LinkedHashMap<>();

  /** The one of the process. */
  private static final class OfProcess {
    static final ProgressBoard BOARD = start();

    private static ProgressBoard start() {
      ProgressBoard board =
          new ProgressBoard(
              System::nanoTime, line -> LOG.info("{}", line), TerminalLine.ofProcess());
      ScheduledExecutorService timer =
          Executors.newSingleThreadScheduledExecutor(
              task -> {
                Thread thread = new Thread(task, "kklip-progress");
                thread.setDaemon(true);
                return thread;
              });
      var unused =
          timer.scheduleWithFixedDelay(
              board::tick, REWRITE_MILLIS, REWRITE_MILLIS, TimeUnit.MILLISECONDS);
      return board;
    }
  }

  /**
   * @param clock in nanoseconds
   * @param log takes the plain lines
   * @param terminal null: there is none
   */
  ProgressBoard(LongSupplier clock, Consumer<String> log, TerminalLine terminal) {
    this.clock = clock;
    this.log = log;
    this.terminal = terminal;
  }

  static ProgressBoard ofProcess() {
    return OfProcess.BOARD;
  }

  long now() {
    return clock.getAsLong();
  }

  synchronized void begin(Progress progress) {
    running.put(progress, progress.begun() + FIRST);
    if (terminal != null) {
      terminal.show(progress.line(now()).running());
    }
  }

  synchronized void end(Progress progress, boolean done) {
    running.remove(progress);
    ProgressLine line = progress.line(now());
    String text = done ? line.finished() : line.stopped();
    log.accept(text);
    if (terminal != null) {
      terminal.keep(text);
    }
  }

  /** Tells what is due. The process's board is asked to twice in a second. */
  synchronized void tick() {
    long now = now();
    String newest = "";
    for (Map.Entry<Progress, Long> entry : running.entrySet()) {
      Progress progress = entry.getKey();
      String text = progress.line(now).running();
      newest = text;
      Duration interval = progress.interval();
      // A stage that has not counted yet has little to tell.
      boolean idle =
          progress.reading().counts().equals(Counts.NONE)
              && now - progress.begun() < interval.toNanos();
      if (now >= entry.getValue() && !idle) {
        entry.setValue(now + interval.toNanos());
        log.accept(text);
      }
    }
    if (terminal != null && !newest.isEmpty()) {
      terminal.show(newest);
    }
  }
}
