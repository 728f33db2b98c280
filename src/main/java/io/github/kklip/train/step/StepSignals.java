package io.github.kklip.train.step;

import java.nio.ByteBuffer;

/**
 * What each rank tells the others within a step's own sum, so that all decide alike.
 *
 * @param stopAsked ranks that were asked to stop
 * @param secondsWaited for the step's data, of all ranks together
 * @param savingBusy ranks on which a checkpoint is still on its way
 */
public record StepSignals(double stopAsked, double secondsWaited, double savingBusy) {
  /** Of one rank that has nothing to tell. */
  public static final StepSignals NONE = new StepSignals(0, 0, 0);

  static final int COUNT = 3;

  /** Of one rank. */
  public static StepSignals of(boolean stopAsked, double secondsWaited, boolean savingBusy) {
    return new StepSignals(stopAsked ? 1 : 0, secondsWaited, savingBusy ? 1 : 0);
  }

  void put(ByteBuffer buffer) {
    buffer.putDouble(stopAsked).putDouble(secondsWaited).putDouble(savingBusy);
  }

  static StepSignals get(ByteBuffer buffer) {
    return new StepSignals(buffer.getDouble(), buffer.getDouble(), buffer.getDouble());
  }
}
