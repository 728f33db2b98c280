package io.github.kklip.tensor;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.jni.JniUtils;

/**
 * Autograd without DJL's collector, which is one static flag for the whole process. Grad mode is a
 * property of the thread:
 *
 * <pre>{@code
 * try (Grad grad = Grad.on()) {
 *   NDArray cut = grad.leaf(manager, x);   // the graph starts here
 *   NDArray y = f(cut);
 *   grad.backward(y, dy);                  // accumulates into leaves
 *   NDArray dx = Grad.of(cut);
 * }
 * }</pre>
 */
public final class Grad implements AutoCloseable {
  private final boolean before;

  private Grad() {
    before = JniUtils.isGradMode();
    JniUtils.setGradMode(true);
  }

  /** Records the graph on this thread until closed. */
  public static Grad on() {
    return new Grad();
  }

  /** {@code x} without its history: shares memory with {@code x}. */
  public static NDArray detached(NDManager manager, NDArray x) {
    return Torch.module("tensor/core").call(manager, "detach", x);
  }

  /** {@code x} cut from its history, with a gradient of its own: shares memory with {@code x}. */
  public NDArray leaf(NDManager manager, NDArray x) {
    NDArray cut = detached(manager, x);
    cut.setRequiresGradient(true);
    return cut;
  }

  /**
   * Propagates {@code gradient} (of the shape of {@code output}) to every leaf, adds it up there,
   * and frees the graph.
   */
  public void backward(NDArray output, NDArray gradient) {
    JniUtils.backward((PtNDArray) output, (PtNDArray) gradient, false, false);
  }

  /** {@link #backward(NDArray, NDArray)} of a scalar, from 1. */
  public void backward(NDArray scalar) {
    try (NDArray one = Torch.module("tensor/core").call(scalar.getManager(), "ones_like", scalar)) {
      backward(scalar, one);
    }
  }

  /** The gradient of a leaf: a new handle on the same memory, to be closed. */
  public static NDArray of(NDArray leaf) {
    NDArray gradient = leaf.getGradient();
    gradient.attach(leaf.getManager());
    return gradient;
  }

  @Override
  public void close() {
    JniUtils.setGradMode(before);
  }
}
