package io.github.kklip.train.step;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.kklip.comms.Work;
import io.github.kklip.optim.AdamW;
import io.github.kklip.tensor.FlatTensor;
import io.github.kklip.tensor.Torch;
import io.github.kklip.train.checkpoint.Snapshot;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * Copies weights and moments to host memory, for checkpoints, one after the other. A rank other
 * than 0 has only its own shards of the moments, where the optimizer is sharded, and gives them to
 * rank 0 range by range, beside the steps that follow.
 */
final class SnapshotCollector implements AutoCloseable {
  /** Steps beside which the moments of all ranks come to rank 0, or a few less. */
  private static final int COLLECTIONS = 16;

  private final FlatTensor parameters;
  private final AdamW optimizer;
  private final OptimizerShards shards;
  private final boolean first;

  private final Object lock = new Object();
  private Copy spare;
  private Copy collecting;
  private boolean closed;

  /**
   * @param first whether this is rank 0, which gets the whole
   */
  SnapshotCollector(FlatTensor parameters, AdamW optimizer, OptimizerShards shards, boolean first) {
    this.parameters = parameters;
    this.optimizer = optimizer;
    this.shards = shards;
    this.first = first;
  }

  /**
   * When it is closed its memory waits for the next one: fresh pages would cost as much as the copy
   * itself.
   */
  private final class Copy implements Snapshot {
    private final NDManager manager = Torch.manager();
    private final NDArray weights = first ? shards.zeros(manager, parameters.size()) : null;
    private final NDArray firstMoment = shards.zeros(manager, moments());
    private final NDArray secondMoment = shards.zeros(manager, moments());

    /** Ranges that rank 0 has asked for, of both moments; the last ones may be on their way. */
    private int asked;

    private final List<Work> arriving = new ArrayList<>();
    private NDManager scope;

    @Override
    public NDManager manager() {
      return manager;
    }

    @Override
    public NDArray parameters() {
      return weights;
    }

    @Override
    public NDArray firstMoment() {
      return firstMoment;
    }

    @Override
    public NDArray secondMoment() {
      return secondMoment;
    }

    private long moments() {
      return first ? parameters.size() : optimizer.firstMoment().size();
    }

    private void take() {
      if (first) {
        Torch.copy(weights, parameters.data());
      }
      take(firstMoment, optimizer.firstMoment());
      take(secondMoment, optimizer.secondMoment());
      asked = 0;
    }

    private void take(NDArray target, NDArray moment) {
      if (first && shards.sharded()) {
        shards.spread(moment, target);
      } else {
        Torch.copy(target, moment);
      }
    }

    /** Awaits what is on its way, and asks for the next ranges; false: there is none left. */
    private boolean collect() {
      arriving.forEach(Work::await);
      arriving.clear();
      if (scope != null) {
        scope.close();
        scope = null;
      }
      int ranges = shards.ranges().size();
      if (!shards.sharded() || asked == 2 * ranges) {
        return false;
      }
      scope = Torch.manager();
      long enough = 2 * parameters.size() / COLLECTIONS;
      for (long elements = 0; elements < enough && asked < 2 * ranges; asked++) {
        elements += shards.ranges().get(asked % ranges).length();
        arriving.add(ask(asked < ranges ? firstMoment : secondMoment, asked % ranges));
      }
      return true;
    }

    private Work ask(NDArray moment, int index) {
      NDArray range = shards.view(scope, first ? moment : null, index);
      if (!first) {
        shards.copyFrom(moment, index, range);
      }
      return shards.gather(Torch.memory(range), index);
    }

    /** It did not become whole: its run has failed, and nothing touches its memory any more. */
    private void abandon() {
      if (scope != null) {
        scope.close();
      }
      manager.close();
    }

    @Override
    public void close() {
      synchronized (lock) {
        if (closed || spare != null) {
          manager.close();
        } else {
          spare = this;
        }
      }
    }
  }

  /**
   * Copies the state as it is now, as far as this rank has it: {@link #collect} goes on with it.
   * All ranks call it together.
   */
  void start() {
    if (first || shards.sharded()) {
      synchronized (lock) {
        collecting = spare == null ? new Copy() : spare;
        spare = null;
      }
      collecting.take();
    }
  }

  /** Goes on with the snapshot that was begun: see {@link Student#collectSnapshot}. */
  boolean collect(Consumer<Snapshot> whole) {
    if (collecting == null || collecting.collect()) {
      return collecting != null;
    }
    Copy snapshot = collecting;
    collecting = null;
    if (first) {
      whole.accept(snapshot);
    } else {
      snapshot.close();
    }
    return false;
  }

  @Override
  public void close() {
    synchronized (lock) {
      // A snapshot that is still being written closes itself.
      closed = true;
      if (spare != null) {
        spare.manager.close();
      }
      if (collecting != null) {
        collecting.abandon();
      }
    }
  }
}
