package io.github.kklip.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.kklip.tensor.Grad;
import java.util.function.IntConsumer;

/**
 * One tower's forward pass, cut at its segments, that waits for the gradient of its features.
 * Memory of a segment is freed when the backward pass leaves it.
 */
public final class TowerPass implements AutoCloseable {
  /** A sequence of stages, each a segment of the model. */
  interface Tower {
    int stages();

    /** Number of the first stage's segment. */
    int firstSegment();

    NDArray forward(NDManager manager, int stage, NDArray x);

    /** Adds the gradients of the first stage by hand; false: autograd does it. */
    boolean backwardOfFirst(NDManager manager, NDArray gradient);
  }

  private final NDManager manager;
  private final Tower tower;
  private final boolean recompute;
  private final NDArray[] inputs;
  private final NDArray[] outputs;
  private final NDArray features;

  TowerPass(NDManager parent, Tower tower, boolean recompute) {
    this.tower = tower;
    this.recompute = recompute;
    manager = parent.newSubManager();
    int stages = tower.stages();
    inputs = new NDArray[stages];
    outputs = new NDArray[stages];
    NDArray x = null;
    for (int stage = 0; stage < stages; stage++) {
      if (recompute) {
        inputs[stage] = x;
        x = tower.forward(manager, stage, x);
      } else {
        x = record(stage, x);
      }
    }
    features = Grad.detached(manager, x);
  }

  /** Runs one stage with a graph from its input on. */
  private NDArray record(int stage, NDArray x) {
    try (Grad grad = Grad.on()) {
      inputs[stage] = x == null ? null : grad.leaf(manager, x);
      outputs[stage] = tower.forward(manager, stage, inputs[stage]);
      return outputs[stage];
    }
  }

  /** The features [B, projection], without history. They live until the pass is closed. */
  public NDArray features() {
    return features;
  }

  /**
   * Goes back through the tower and adds to the model's flat gradient. Once only.
   *
   * @param gradient of the features [B, projection]
   * @param left is told the number of each segment whose gradient this pass has completed, from the
   *     last to the first
   */
  public void backward(NDArray gradient, IntConsumer left) {
    NDArray dx = gradient;
    for (int stage = tower.stages() - 1; stage >= 0; stage--) {
      dx = backward(stage, dx);
      left.accept(tower.firstSegment() + stage);
    }
  }

  private NDArray backward(int stage, NDArray dx) {
    if (stage > 0 || !tower.backwardOfFirst(manager, dx)) {
      NDArray before = inputs[stage];
      if (recompute) {
        record(stage, before);
        if (before != null) {
          before.close();
        }
      }
      try (Grad grad = Grad.on()) {
        grad.backward(outputs[stage], dx);
      }
    }
    NDArray dInput = inputs[stage] == null ? null : Grad.of(inputs[stage]);
    if (stage < outputs.length - 1) {
      dx.close();
    }
    if (inputs[stage] != null) {
      inputs[stage].close();
    }
    if (outputs[stage] != null) {
      outputs[stage].close();
    }
    return dInput;
  }

  @Override
  public void close() {
    manager.close();
  }
}
