package io.github.kklip.train.step;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.comms.Collective;
import io.github.kklip.comms.Work;
import io.github.kklip.config.Dtype;
import io.github.kklip.config.ElementType;
import io.github.kklip.config.Settings;
import io.github.kklip.config.TrainSettings;
import io.github.kklip.model.ClipModel;
import io.github.kklip.model.ClipWeights;
import io.github.kklip.optim.AdamW;
import io.github.kklip.optim.Clip;
import io.github.kklip.safetensors.Safetensors;
import io.github.kklip.store.publication.LocalCopy;
import io.github.kklip.tensor.FlatTensor;
import io.github.kklip.tensor.Torch;
import io.github.kklip.train.checkpoint.Checkpoint;
import io.github.kklip.train.checkpoint.CheckpointWriter;
import io.github.kklip.train.checkpoint.Snapshot;
import io.github.kklip.train.plan.TrainPlan;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.apache.hadoop.conf.Configuration;

/**
 * The weights that are trained, the same on every rank, and the moments of their optimizer: whole
 * on every rank, or, where the optimizer is sharded, each rank's own shards of all ranges.
 */
public final class Student implements AutoCloseable {
  private final ClipModel model;
  private final Collective collective;
  private final OptimizerShards shards;

  /** The weights of each range. */
  private final List<HostRange> weights;

  private final AdamW optimizer;
  private final SnapshotCollector snapshots;

  /**
   * All zero: rank 0 fills the weights by {@link #initialise} or {@link #restore}, then all {@link
   * #broadcast}.
   */
  public Student(NDManager manager, TrainPlan plan, Collective collective) {
    this(manager, plan, collective, ElementType.FLOAT32);
  }

  /**
   * @param master type of weights, gradients and moments: FLOAT32, or FLOAT64 to compare exactly
   */
  Student(NDManager manager, TrainPlan plan, Collective collective, ElementType master) {
    this.collective = collective;
    TrainSettings train = plan.settings().train();
    ElementType compute =
        train.step().precision() == Dtype.BFLOAT16
            ? products(train.step().precision(), manager.getDevice())
            : master;
    model = new ClipModel(manager, plan.shape(), plan.heads(), master, compute);
    FlatTensor parameters = model.parameters();
    parameters.bindGradients();
    shards =
        new OptimizerShards(
            model, collective, train.step().shardOptimizer() && collective.size() > 1);
    weights =
        shards.ranges().stream()
            .map(range -> new HostRange(parameters.data(), range, master, collective))
            .toList();
    optimizer =
        shards.sharded()
            ? new AdamW(parameters, train.adamw(), shards.own())
            : new AdamW(parameters, train.adamw());
    snapshots = new SnapshotCollector(parameters, optimizer, shards, collective.rank() == 0);
  }

  /** The type of the matrix products that a precision means on a device. */
  public static ElementType products(Dtype precision, Device device) {
    return precision == Dtype.BFLOAT16
        ? Torch.products(ElementType.BFLOAT16, device)
        : ElementType.FLOAT32;
  }

  public ClipModel model() {
    return model;
  }

  public AdamW optimizer() {
    return optimizer;
  }

  /** Random weights, and those of {@code student.init} over them when it is set. */
  public void initialise(Settings settings, Configuration configuration) throws IOException {
    model.initialise(settings.seed());
    String init = settings.student().init();
    if (!init.isEmpty()) {
      try (LocalCopy copy = LocalCopy.of(configuration, init, ClipWeights::isFile)) {
        ClipWeights.load(model, List.of(copy.path()));
      }
    }
  }

  /** Weights of a checkpoint. */
  public void restore(Checkpoint checkpoint) throws IOException {
    ClipWeights.load(model, List.of(checkpoint.folder(), checkpoint.heads()));
  }

  /**
   * Gives every rank the weights of rank 0, and the moments of the checkpoint.
   *
   * @param checkpoint on rank 0 what is gone on from; null: from the start
   * @param updates AdamW's count
   */
  public void broadcast(Checkpoint checkpoint, long updates) throws IOException {
    optimizer.restore(updates);
    for (HostRange range : weights) {
      collective.broadcast(range.read(), 0).await();
      range.write();
    }
    if (updates > 0) {
      broadcast(checkpoint, CheckpointWriter.FIRST_MOMENT, optimizer.firstMoment());
      broadcast(checkpoint, CheckpointWriter.SECOND_MOMENT, optimizer.secondMoment());
    }
  }

  private void broadcast(Checkpoint checkpoint, String prefix, NDArray moment) throws IOException {
    try (NDManager manager = Torch.manager()) {
      NDArray whole = checkpoint == null ? null : load(manager, checkpoint, prefix);
      for (int index = 0; index < shards.ranges().size(); index++) {
        try (NDManager scope = manager.newSubManager()) {
          NDArray range = shards.view(scope, whole, index);
          collective.broadcast(Torch.memory(range), 0).await();
          shards.copyTo(moment, index, range);
        }
      }
    }
  }

  private NDArray load(NDManager manager, Checkpoint checkpoint, String prefix) throws IOException {
    FlatTensor parameters = model.parameters();
    Map<String, Shape> shapes = new LinkedHashMap<>();
    parameters.tensors().forEach((name, tensor) -> shapes.put(prefix + name, tensor.getShape()));
    NDArray whole = shards.zeros(manager, parameters.size());
    try (NDManager scope = manager.newSubManager()) {
      Path file = checkpoint.folder().resolve(Checkpoint.OPTIMIZER);
      Map<String, NDArray> arrays = Safetensors.open(file).arrays(scope, shapes);
      long offset = 0;
      for (Map.Entry<String, Shape> entry : shapes.entrySet()) {
        Torch.copy(Torch.view(scope, whole, offset, entry.getValue()), arrays.get(entry.getKey()));
        offset += entry.getValue().size();
      }
    }
    return whole;
  }

  /** Norm of the whole gradient, which {@link GradientSum} has summed; the same on every rank. */
  public double gradientNorm() {
    NDArray gradient = model.parameters().gradient();
    if (!shards.sharded()) {
      return Clip.norm(gradient);
    }
    double squares = 0;
    try (NDManager scope = gradient.getManager().newSubManager()) {
      for (FlatTensor.Range own : shards.own()) {
        if (own.length() > 0) {
          double norm = Clip.norm(Torch.view(scope, gradient, own.from(), new Shape(own.length())));
          squares += norm * norm;
        }
      }
    }
    return Math.sqrt(collective.sum(squares)[0]);
  }

  /**
   * Takes a step along the gradient; each rank for its own shards where the optimizer is sharded,
   * which it then gives to the others.
   */
  public void update(double lr, double divisor) {
    optimizer.step(lr, divisor);
    if (shards.sharded()) {
      List<Work> gathering = new ArrayList<>();
      for (int index = 0; index < weights.size(); index++) {
        gathering.add(shards.gather(weights.get(index).read(), index));
      }
      for (int index = 0; index < weights.size(); index++) {
        gathering.get(index).await();
        weights.get(index).write();
      }
    }
    clampLogitScale();
  }

  /**
   * Copies the state as it is now, for a checkpoint: the beginning of a snapshot, which {@link
   * #collectSnapshot} goes on with. All ranks call it together.
   */
  public void startSnapshot() {
    snapshots.start();
  }

  /**
   * Goes on with the snapshot that was begun: where the optimizer is sharded, the moments of the
   * other ranks come to rank 0, some with each call, beside what the caller does meanwhile. All
   * ranks call it together, until it returns false.
   *
   * @param whole takes the snapshot when it is whole, on rank 0
   */
  public boolean collectSnapshot(Consumer<Snapshot> whole) {
    return snapshots.collect(whole);
  }

  /** The logarithm of the contrastive loss's inverse temperature. */
  public double logitScale() {
    return Torch.scalar(model.parameters().tensor(ClipModel.LOGIT_SCALE));
  }

  /** Brings {@code logit_scale} back into [0, ln 100], outside the graph. */
  private void clampLogitScale() {
    double scale = logitScale();
    double clamped = Math.max(0, Math.min(Math.log(100), scale));
    // Also where nothing changes, NaN stays NaN: the next loss shows it.
    if (scale < 0 || scale > clamped) {
      Torch.fill(model.parameters().tensor(ClipModel.LOGIT_SCALE), clamped);
    }
  }

  @Override
  public void close() {
    snapshots.close();
    weights.forEach(HostRange::close);
    optimizer.close();
    model.close();
  }
}
