package io.github.kklip.train.checkpoint;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;

/**
 * Weights and moments after one step, in host memory that no later step changes. Each is one flat
 * tensor in the order of the model's parameters. Close it when it is written.
 */
public interface Snapshot extends AutoCloseable {
  /** Owns the tensors. */
  NDManager manager();

  /** The weights. */
  NDArray parameters();

  /** AdamW's m. */
  NDArray firstMoment();

  /** AdamW's v. */
  NDArray secondMoment();

  @Override
  void close();
}
