package io.github.kklip.faults;

import java.util.Arrays;
import java.util.List;
import org.apache.logging.log4j.Level;

/**
 * How many faults the fault tests try: few in {@code mvn verify}, more with {@code -Pslow}, all of
 * them with {@code -Dkklip.faults.all=true}. A failure tells its seed; {@code
 * -Dkklip.faults.seed=SEED} begins there.
 */
final class FaultRuns {
  static final long SEED = Long.getLong("kklip.faults.seed", 1);

  /** Whether each operation of each stage fails in each way. */
  static final boolean ALL = Boolean.getBoolean("kklip.faults.all");

  /** Of two writers at the commit layer, under each rule. */
  static final int COMMIT_RACES = Integer.getInteger("kklip.faults.races", ALL ? 2000 : 150);

  /** Runs of stages in {@code mvn verify}, and with {@code -Pslow}. */
  static final int SAMPLE = Integer.getInteger("kklip.faults.sample", 8);

  static final int SLOW_SAMPLE = Integer.getInteger("kklip.faults.slow-sample", 150);

  /** Of two writers of different things. */
  static final int RACES = Integer.getInteger("kklip.faults.different", 3);

  static final int SLOW_RACES = Integer.getInteger("kklip.faults.slow-different", 40);

  /** Flipped bits. */
  static final int FLIPS = Integer.getInteger("kklip.faults.flips", ALL ? 20_000 : 60);

  /** Of the store on which each operation fails. */
  static final FaultStore.Rule RULE =
      FaultStore.Rule.valueOf(System.getProperty("kklip.faults.rule", "HDFS"));

  /** What the stages log: little, as all of their failures are meant. */
  static final Level LOGGED = Level.toLevel(System.getProperty("kklip.faults.log"), Level.FATAL);

  /** Every so many operations, for a run that has less time than all of them take. */
  static final int STRIDE = Integer.getInteger("kklip.faults.stride", 1);

  private FaultRuns() {}

  /** The stages that are run: all, or those named. */
  static List<Pipeline.Stage> stages() {
    return named("kklip.faults.stages", Pipeline.Stage.values());
  }

  /** What goes wrong: all, or those named. */
  static List<Fault.Kind> kinds() {
    return named("kklip.faults.kinds", Fault.Kind.values());
  }

  private static <E extends Enum<E>> List<E> named(String property, E[] all) {
    String names = System.getProperty(property, "");
    return Arrays.stream(all)
        .filter(each -> names.isEmpty() || List.of(names.split(",")).contains(each.name()))
        .toList();
  }
}
