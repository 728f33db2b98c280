package io.github.kklip.progress;

import java.io.Serializable;

/**
 * What a stage, or a part of it, has done.
 *
 * @param done in the stage's unit
 * @param before those of {@code done} that an earlier run did; they say nothing about the rate
 * @param items what the units hold, where that is counted too
 * @param rejects what was left out
 */
public record Counts(long done, long before, long items, long rejects) implements Serializable {
  public static final Counts NONE = new Counts(0, 0, 0, 0);

  public Counts plus(Counts other) {
    return new Counts(
        done + other.done, before + other.before, items + other.items, rejects + other.rejects);
  }
}
