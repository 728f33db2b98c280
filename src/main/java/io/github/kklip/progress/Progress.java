package io.github.kklip.progress;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/**
 * The progress of one stage. Counting is cheap and may be done on any thread; {@link ProgressBoard}
 * tells the counts when it is time to.
 *
 * <pre>{@code
 * try (Progress progress = Progress.of("embed", "captions").total(500_000).begin()) {
 *   progress.add(64);
 *   progress.done();
 * }
 * }</pre>
 *
 * <p>A stage that is closed without {@link #done} has failed, and is told as stopped.
 */
public final class Progress implements AutoCloseable {
  /** What a {@link Listener} is told of. */
  public enum Event {
    BEGIN,
    COUNT,
    DONE,
    STOPPED
  }

  /** Hears of every change of every stage of the process, on the thread that makes it. */
  @FunctionalInterface
  public interface Listener {
    void told(Event event, Progress progress);
  }

  private static final Duration INTERVAL = Duration.ofSeconds(30);
  private static final List<Listener> LISTENERS = new CopyOnWriteArrayList<>();

  /** What is known of a stage before it begins. */
  public static final class Plan {
    private final String name;
    private final String unit;
    private long total;
    private String items = "";
    private String rejects = "rejected";
    private Duration interval = INTERVAL;

    private Plan(String name, String unit) {
      this.name = name;
      this.unit = unit;
    }

    /** Units that there are to do; without it, or 0, no share and no time to go are told. */
    public Plan total(long units) {
      total = units;
      return this;
    }

    /** Counts what the units hold, too, under this name; the rate is then that of these. */
    public Plan items(String plural) {
      items = plural;
      return this;
    }

    /** The participle for what was left out; {@code rejected} otherwise. */
    public Plan rejects(String participle) {
      rejects = participle;
      return this;
    }

    /** How often the log gets a line; every 30 seconds otherwise. */
    public Plan every(Duration time) {
      interval = time;
      return this;
    }

    /** Begins the stage on the process's board. */
    public Progress begin() {
      return begin(ProgressBoard.ofProcess());
    }

    Progress begin(ProgressBoard board) {
      Progress progress = new Progress(this, board);
      board.begin(progress);
      progress.tell(Event.BEGIN);
      return progress;
    }
  }

  private final Plan plan;
  private final ProgressBoard board;
  private final long begun;
  private Reading reading;
  private boolean ended;

  private Progress(Plan plan, ProgressBoard board) {
    this.plan = plan;
    this.board = board;
    begun = board.now();
    reading = new Reading(Counts.NONE, plan.total, "");
  }

  /**
   * A stage that is to begin.
   *
   * @param unit plural of what is counted
   */
  public static Plan of(String name, String unit) {
    return new Plan(name, unit);
  }

  /** A listener that is told until this is closed. */
  @FunctionalInterface
  public interface Listening extends AutoCloseable {
    @Override
    void close();
  }

  /** Adds a listener. */
  public static Listening listen(Listener listener) {
    LISTENERS.add(listener);
    return () -> LISTENERS.remove(listener);
  }

  /** Counts units that are done. */
  public void add(long units) {
    add(new Counts(units, 0, 0, 0));
  }

  /** Counts what is done. */
  public void add(Counts more) {
    synchronized (this) {
      reading = new Reading(reading.counts().plus(more), reading.total(), reading.note());
    }
    tell(Event.COUNT);
  }

  /** Sets what has been done so far. */
  public void set(Counts counts) {
    synchronized (this) {
      reading = new Reading(counts, reading.total(), reading.note());
    }
    tell(Event.COUNT);
  }

  /** Sets all, as another process tells it. */
  public void set(Reading now) {
    synchronized (this) {
      reading = now;
    }
    tell(Event.COUNT);
  }

  /** Sets the further figures of the line. */
  public void note(String text) {
    synchronized (this) {
      reading = new Reading(reading.counts(), reading.total(), text);
    }
  }

  /** The stage has done all it had to. */
  public void done() {
    end(Event.DONE);
  }

  /** Ends a stage that is not {@link #done}. */
  @Override
  public void close() {
    end(Event.STOPPED);
  }

  private void end(Event event) {
    synchronized (this) {
      if (ended) {
        return;
      }
      ended = true;
    }
    board.end(this, event == Event.DONE);
    tell(event);
  }

  private void tell(Event event) {
    LISTENERS.forEach(listener -> listener.told(event, this));
  }

  public String name() {
    return plan.name;
  }

  public String unit() {
    return plan.unit;
  }

  /** Where the stage is. */
  public synchronized Reading reading() {
    return reading;
  }

  Duration interval() {
    return plan.interval;
  }

  long begun() {
    return begun;
  }

  ProgressLine line(long now) {
    return new ProgressLine(plan.name, plan.unit, plan.items, plan.rejects, reading(), now - begun);
  }
}
