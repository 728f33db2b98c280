package io.github.kklip.optim;

import static io.github.kklip.config.Message.message;

/**
 * Learning rate: linear warm-up to the peak, then half a cosine down to 0, as open_clip has it.
 *
 * @param peak learning rate at the end of the warm-up
 * @param warmup steps of warm-up
 * @param total steps in all
 */
public record Schedule(double peak, long warmup, long total) {
  public Schedule {
    if (!(peak > 0) || warmup < 0 || total < 1) {
      throw new IllegalArgumentException(
          message(
              "Cannot make a learning rate schedule of peak %s, %s warm-up steps and %s steps.",
              peak, warmup, total));
    }
  }

  /** Learning rate of a step, counted from 0. */
  public double at(long step) {
    if (step < warmup) {
      return peak * (step + 1) / warmup;
    }
    if (step >= total) {
      return 0;
    }
    double progress = (double) (step - warmup) / (total - warmup);
    return peak * 0.5 * (1 + Math.cos(Math.PI * progress));
  }
}
