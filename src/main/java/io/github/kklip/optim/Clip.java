package io.github.kklip.optim;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.kklip.tensor.Torch;

/**
 * Clipping by the norm of the whole gradient, as torch.nn.utils.clip_grad_norm_.
 *
 * @param largest the norm that longer gradients are shortened to; 0: no clipping
 */
public record Clip(double largest) {
  private static final double EPSILON = 1e-6;

  /**
   * Euclidean norm of a flat gradient. Not finite exactly when an element is not finite (or its
   * square exceeds the type's range): after the all-reduce it is the same on every rank, so that
   * all ranks decide alike whether to skip a step.
   */
  public static double norm(NDArray flat) {
    try (NDManager scope = flat.getManager().newSubManager()) {
      return Torch.scalar(Torch.module("optim/optim").call(scope, "norm", flat));
    }
  }

  /** What to divide a gradient of this norm by. */
  public double divisor(double norm) {
    return largest > 0 ? Math.max(1, (norm + EPSILON) / largest) : 1;
  }
}
