package io.github.kklip.launch;

/** Takes what a rank tells the driver while it works. Rank 0 calls it, from one thread. */
public interface RankProgress {
  /** A line for the driver's log. */
  void line(String line);

  /** How far the work has come, for Spark's UI. */
  void at(long step, double epoch);
}
