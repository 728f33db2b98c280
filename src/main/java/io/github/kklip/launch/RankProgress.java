package io.github.kklip.launch;

import io.github.kklip.progress.Reading;

/**
 * Takes what the ranks tell while they work: in a rank, where rank 0 calls it from one thread, and
 * on the driver, where a thread of Spark calls it.
 */
@FunctionalInterface
public interface RankProgress {
  /** Something that happened, for the driver's log. */
  void line(String line);

  /** How far the work has come; only the newest is sure to arrive. */
  default void at(Reading reading, double epoch) {}
}
