package io.github.kklip.train.step;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.kklip.model.TowerPass;
import io.github.kklip.tensor.Torch;
import java.util.function.IntConsumer;

/**
 * One tower over this rank's rows. Where they fit, it keeps the graph of its forward pass; else it
 * embeds micro-batches without a graph and computes each again for its backward pass.
 */
final class TowerStep {
  /** Something of the rows {@code from} to {@code to}. */
  interface OfRows<T> {
    T of(NDManager manager, DeviceBatch batch, int from, int to);
  }

  private final FeatureExchange exchange;
  private final int rows;
  private final int micro;
  private final OfRows<NDArray> features;
  private final OfRows<TowerPass> pass;
  private TowerPass kept;

  /**
   * @param exchange of this tower's features
   * @param rows of this rank
   * @param micro rows of a micro-batch; {@code rows}: all at once
   * @param features without a graph
   * @param pass with a graph
   */
  TowerStep(
      FeatureExchange exchange,
      int rows,
      int micro,
      OfRows<NDArray> features,
      OfRows<TowerPass> pass) {
    this.exchange = exchange;
    this.rows = rows;
    this.micro = micro;
    this.features = features;
    this.pass = pass;
  }

  FeatureExchange exchange() {
    return exchange;
  }

  /** Embeds this rank's rows and starts to gather the features of all ranks. */
  void forward(NDManager scope, DeviceBatch batch) {
    if (micro == rows) {
      kept = pass.of(scope, batch, 0, rows);
      exchange.gather(kept.features());
      return;
    }
    NDArray all = exchange.zeros(scope);
    for (int from = 0; from < rows; from += micro) {
      int to = Math.min(rows, from + micro);
      try (NDManager manager = scope.newSubManager()) {
        Torch.copy(Torch.narrow(all, from, to - from), features.of(manager, batch, from, to));
      }
    }
    exchange.gather(all);
  }

  /**
   * Takes the summed gradient of this rank's features and goes back through the tower.
   *
   * @param done is told each segment whose gradient is final
   */
  void backward(NDManager scope, DeviceBatch batch, IntConsumer done) {
    NDArray gradient = exchange.scattered(scope);
    if (micro == rows) {
      kept.backward(gradient, done);
      kept.close();
      return;
    }
    IntConsumer notYet = segment -> {};
    for (int from = 0; from < rows; from += micro) {
      int to = Math.min(rows, from + micro);
      try (NDManager manager = scope.newSubManager();
          TowerPass again = pass.of(manager, batch, from, to);
          NDArray part = Torch.narrow(gradient, from, to - from)) {
        again.backward(part, to == rows ? done : notYet);
      }
    }
  }
}
