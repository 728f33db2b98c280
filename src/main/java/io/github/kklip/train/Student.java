package io.github.kklip.train;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.comms.Collective;
import io.github.kklip.comms.Pending;
import io.github.kklip.config.Settings;
import io.github.kklip.model.ClipModel;
import io.github.kklip.model.ClipWeights;
import io.github.kklip.optim.AdamW;
import io.github.kklip.store.Safetensors;
import io.github.kklip.tensor.ElementType;
import io.github.kklip.tensor.FlatTensor;
import io.github.kklip.tensor.Torch;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The weights that are trained and the moments of their optimizer, the same on every rank. */
final class Student implements AutoCloseable {
  private final ClipModel model;
  private final AdamW optimizer;

  /**
   * All zero: rank 0 fills them by {@link #initialise} or {@link #restore}, then all {@link
   * #share}.
   */
  Student(NDManager manager, TrainPlan plan) {
    Settings.Train train = plan.settings().train();
    model =
        new ClipModel(
            manager,
            plan.shape(),
            plan.heads(),
            ElementType.FLOAT32,
            products(train.precision(), manager.getDevice()));
    model.parameters().bindGradients();
    optimizer =
        new AdamW(
            model.parameters(),
            new AdamW.Settings(train.beta1(), train.beta2(), train.eps(), train.weightDecay()));
  }

  /** The type of the matrix products that a precision means on a device. */
  static ElementType products(Settings.Dtype precision, Device device) {
    return precision == Settings.Dtype.BFLOAT16
        ? Torch.products(ElementType.BFLOAT16, device)
        : ElementType.FLOAT32;
  }

  ClipModel model() {
    return model;
  }

  AdamW optimizer() {
    return optimizer;
  }

  /** Random weights, and those of {@code student.init} over them when it is set. */
  void initialise(Settings settings) throws IOException {
    model.initialise(settings.seed());
    if (!settings.student().init().isEmpty()) {
      ClipWeights.load(model, List.of(Path.of(settings.student().init())));
    }
  }

  /** Weights and moments of a checkpoint. */
  void restore(Checkpoint checkpoint) throws IOException {
    ClipWeights.load(model, List.of(checkpoint.folder(), checkpoint.heads()));
    Path file = checkpoint.folder().resolve(Checkpoint.OPTIMIZER);
    restore(file, CheckpointWriter.FIRST_MOMENT, optimizer.firstMoment());
    restore(file, CheckpointWriter.SECOND_MOMENT, optimizer.secondMoment());
  }

  private void restore(Path file, String prefix, NDArray moment) throws IOException {
    FlatTensor parameters = model.parameters();
    Map<String, Shape> shapes = new LinkedHashMap<>();
    parameters.tensors().forEach((name, tensor) -> shapes.put(prefix + name, tensor.getShape()));
    try (NDManager scope = moment.getManager().newSubManager()) {
      Map<String, NDArray> arrays = Safetensors.open(file).arrays(scope, shapes);
      long offset = 0;
      for (Map.Entry<String, Shape> entry : shapes.entrySet()) {
        Torch.copy(Torch.view(scope, moment, offset, entry.getValue()), arrays.get(entry.getKey()));
        offset += entry.getValue().size();
      }
    }
  }

  /**
   * Gives every rank the weights and moments of rank 0.
   *
   * @param updates AdamW's count
   */
  void share(Collective collective, long updates) {
    optimizer.restore(updates);
    if (collective.size() > 1) {
      broadcast(collective, model.parameters().data());
      if (updates > 0) {
        broadcast(collective, optimizer.firstMoment());
        broadcast(collective, optimizer.secondMoment());
      }
    }
  }

  private static void broadcast(Collective collective, NDArray flat) {
    List<HostRange> ranges = HostRange.of(flat, 0, flat.size());
    for (HostRange range : ranges) {
      try (range) {
        Pending pending = collective.broadcast(range.read(), 0);
        pending.await();
        range.write();
      }
    }
  }

  /** The logarithm of the contrastive loss's inverse temperature. */
  double logitScale() {
    return Torch.scalar(model.parameters().tensor(ClipModel.LOGIT_SCALE));
  }

  /** Brings {@code logit_scale} back into [0, ln 100], outside the graph. */
  double clampLogitScale() {
    double scale = logitScale();
    double clamped = Math.max(0, Math.min(Math.log(100), scale));
    // Also where nothing changes, NaN stays NaN: the next loss shows it.
    if (scale < 0 || scale > clamped) {
      Torch.fill(model.parameters().tensor(ClipModel.LOGIT_SCALE), clamped);
    }
    return clamped;
  }

  @Override
  public void close() {
    optimizer.close();
    model.close();
  }
}
