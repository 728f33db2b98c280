package io.github.kklip.optim;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.config.ElementType;
import io.github.kklip.config.TrainSettings.AdamWSettings;
import io.github.kklip.tensor.FlatTensor;
import io.github.kklip.tensor.Torch;
import io.github.kklip.tensor.TorchModule;
import java.util.List;

/**
 * AdamW ("Decoupled Weight Decay Regularization", Loshchilov and Hutter, 2019) over a flat tensor,
 * in two native calls: the range with weight decay and the range without.
 *
 * <pre>
 * g = gradient / divisor
 * m = beta1 m + (1 - beta1) g          v = beta2 v + (1 - beta2) g²
 * p = p - lr decay p - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)
 * </pre>
 */
public final class AdamW implements AutoCloseable {
  private final FlatTensor parameters;
  private final List<FlatTensor.Range> ranges;
  private final AdamWSettings settings;
  private final NDManager manager;
  private final NDArray firstMoment;
  private final NDArray secondMoment;
  private final TorchModule methods = Torch.module("optim/optim");
  private long steps;

  /** Starts with moments of zero, on the device of the parameters. */
  public AdamW(FlatTensor parameters, AdamWSettings settings) {
    this(
        parameters,
        settings,
        List.of(
            new FlatTensor.Range(0, parameters.decayed()),
            new FlatTensor.Range(parameters.decayed(), parameters.size() - parameters.decayed())));
  }

  /**
   * Updates some ranges of the parameters only, and has moments for no more.
   *
   * @param ranges what it updates; each all with weight decay, or all without
   */
  public AdamW(FlatTensor parameters, AdamWSettings settings, List<FlatTensor.Range> ranges) {
    this.parameters = parameters;
    this.settings = settings;
    this.ranges = List.copyOf(ranges);
    manager = parameters.manager().newSubManager();
    Shape shape = new Shape(ranges.stream().mapToLong(FlatTensor.Range::length).sum());
    firstMoment = Torch.zeros(manager, shape, parameters.type());
    secondMoment = Torch.zeros(manager, shape, parameters.type());
  }

  /**
   * Takes one step along the flat gradient.
   *
   * @param divisor the gradient is divided by it (in place): {@link Clip#divisor}
   */
  public void step(double lr, double divisor) {
    steps++;
    try (NDManager scope = manager.newSubManager()) {
      NDArray step = scope.full(new Shape(), (float) steps, DataType.FLOAT32);
      double remaining = divisor;
      if (parameters.type() == ElementType.FLOAT64) {
        // The fused operator takes a divisor in float32 only.
        for (FlatTensor.Range range : ranges) {
          methods.run(
              scope,
              "divide",
              Torch.view(scope, parameters.gradient(), range.from(), new Shape(range.length())),
              divisor);
        }
        remaining = 1;
      }
      NDArray scale = scope.full(new Shape(), (float) remaining, DataType.FLOAT32);
      long moments = 0;
      for (FlatTensor.Range range : ranges) {
        double decay = range.from() < parameters.decayed() ? settings.weightDecay() : 0;
        update(scope, range, moments, decay, step, scale, lr);
        moments += range.length();
      }
    }
  }

  private void update(
      NDManager scope,
      FlatTensor.Range range,
      long moments,
      double decay,
      NDArray step,
      NDArray divisor,
      double lr) {
    long length = range.length();
    if (length > 0) {
      methods.run(
          scope,
          "adamw",
          view(scope, parameters.data(), range.from(), length),
          view(scope, parameters.gradient(), range.from(), length),
          view(scope, firstMoment, moments, length),
          view(scope, secondMoment, moments, length),
          List.of(step),
          lr,
          settings.beta1(),
          settings.beta2(),
          decay,
          settings.eps(),
          divisor);
    }
  }

  private static List<NDArray> view(NDManager scope, NDArray flat, long offset, long length) {
    return List.of(Torch.view(scope, flat, offset, new Shape(length)));
  }

  /** m, in the order of the ranges; write it in place to restore a state. */
  public NDArray firstMoment() {
    return firstMoment;
  }

  /** v, in the order of the ranges; write it in place to restore a state. */
  public NDArray secondMoment() {
    return secondMoment;
  }

  /** t: the number of steps taken. */
  public long steps() {
    return steps;
  }

  /** Sets t when a state is restored. */
  public void restore(long steps) {
    this.steps = steps;
  }

  @Override
  public void close() {
    manager.close();
  }
}
