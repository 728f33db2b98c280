package io.github.kklip.train.step;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.comms.Collective;
import io.github.kklip.comms.Work;
import io.github.kklip.config.Settings;
import io.github.kklip.model.ClipModel;
import io.github.kklip.model.ClipWeights;
import io.github.kklip.optim.AdamW;
import io.github.kklip.optim.Clip;
import io.github.kklip.safetensors.Safetensors;
import io.github.kklip.tensor.ElementType;
import io.github.kklip.tensor.FlatTensor;
import io.github.kklip.tensor.Torch;
import io.github.kklip.train.checkpoint.Checkpoint;
import io.github.kklip.train.checkpoint.CheckpointWriter;
import io.github.kklip.train.plan.TrainPlan;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/**
 * The weights that are trained, the same on every rank, and the moments of their optimizer: whole
 * on every rank, or, where the optimizer is sharded, each rank's own parts of all stretches.
 */
public final class Student implements AutoCloseable {
  /** Steps beside which the moments of all ranks come to rank 0, or a few less. */
  private static final int COLLECTIONS = 16;

  private final ClipModel model;
  private final Collective collective;
  private final boolean sharded;
  private final io.github.kklip.comms.transport.ElementType travelling;
  private final List<SegmentRanges.Stretch> stretches;

  /** The weights of each stretch. */
  private final List<HostRange> weights;

  private final AdamW optimizer;

  private final Object lock = new Object();
  private Snapshot spare;
  private Snapshot collecting;
  private boolean closed;

  /**
   * All zero: rank 0 fills the weights by {@link #initialise} or {@link #restore}, then all {@link
   * #share}.
   */
  public Student(NDManager manager, TrainPlan plan, Collective collective) {
    this(manager, plan, collective, ElementType.FLOAT32);
  }

  /**
   * @param master type of weights, gradients and moments: FLOAT32, or FLOAT64 to compare exactly
   */
  Student(NDManager manager, TrainPlan plan, Collective collective, ElementType master) {
    this.collective = collective;
    Settings.Train train = plan.settings().train();
    ElementType compute =
        train.precision() == Settings.Dtype.BFLOAT16
            ? products(train.precision(), manager.getDevice())
            : master;
    model = new ClipModel(manager, plan.shape(), plan.heads(), master, compute);
    travelling = io.github.kklip.comms.transport.ElementType.valueOf(master.name());
    model.parameters().bindGradients();
    stretches = SegmentRanges.of(model).all();
    weights =
        stretches.stream()
            .map(s -> HostRange.of(model.parameters().data(), s, travelling, collective))
            .toList();
    sharded = train.shardOptimizer() && collective.size() > 1;
    AdamW.Settings settings =
        new AdamW.Settings(train.beta1(), train.beta2(), train.eps(), train.weightDecay());
    optimizer =
        sharded
            ? new AdamW(
                model.parameters(),
                settings,
                stretches.stream()
                    .map(this::own)
                    .map(own -> new FlatTensor.Range(own.from(), own.length()))
                    .toList())
            : new AdamW(model.parameters(), settings);
  }

  /** What this rank updates of a stretch. */
  private SegmentRanges.Stretch own(SegmentRanges.Stretch stretch) {
    return sharded ? stretch.part(collective.rank(), collective.size()) : stretch;
  }

  /** The type of the matrix products that a precision means on a device. */
  public static ElementType products(Settings.Dtype precision, Device device) {
    return precision == Settings.Dtype.BFLOAT16
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
  public void initialise(Settings settings) throws IOException {
    model.initialise(settings.seed());
    if (!settings.student().init().isEmpty()) {
      ClipWeights.load(model, List.of(Path.of(settings.student().init())));
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
  public void share(Checkpoint checkpoint, long updates) throws IOException {
    optimizer.restore(updates);
    for (HostRange range : weights) {
      collective.broadcast(range.read(), 0).await();
      range.write();
    }
    if (updates > 0) {
      share(checkpoint, CheckpointWriter.FIRST_MOMENT, optimizer.firstMoment());
      share(checkpoint, CheckpointWriter.SECOND_MOMENT, optimizer.secondMoment());
    }
  }

  private void share(Checkpoint checkpoint, String prefix, NDArray moment) throws IOException {
    try (NDManager manager = Torch.manager()) {
      NDArray whole = checkpoint == null ? null : load(manager, checkpoint, prefix);
      long at = 0;
      for (SegmentRanges.Stretch stretch : stretches) {
        SegmentRanges.Stretch own = own(stretch);
        try (NDManager scope = manager.newSubManager()) {
          NDArray there = place(scope, whole, stretch);
          collective.broadcast(Torch.memory(there), 0).await();
          long target = sharded ? at : own.from();
          copyRange(moment, target, there, own.from() - stretch.from(), own.length());
        }
        at += own.length();
      }
    }
  }

  private NDArray load(NDManager manager, Checkpoint checkpoint, String prefix) throws IOException {
    FlatTensor parameters = model.parameters();
    Map<String, Shape> shapes = new LinkedHashMap<>();
    parameters.tensors().forEach((name, tensor) -> shapes.put(prefix + name, tensor.getShape()));
    NDArray whole = zeros(manager, parameters.size());
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

  /** A stretch of {@code whole}; memory to receive it in when there is none. */
  private NDArray place(NDManager scope, NDArray whole, SegmentRanges.Stretch stretch) {
    return whole == null
        ? zeros(scope, stretch.length())
        : Torch.view(scope, whole, stretch.from(), new Shape(stretch.length()));
  }

  private NDArray zeros(NDManager manager, long elements) {
    return Torch.zeros(manager, new Shape(elements), model.parameters().type());
  }

  /** Norm of the whole gradient, which {@link GradientSum} has summed; the same on every rank. */
  public double gradientNorm() {
    NDArray gradient = model.parameters().gradient();
    if (!sharded) {
      return Clip.norm(gradient);
    }
    double squares = 0;
    try (NDManager scope = gradient.getManager().newSubManager()) {
      for (SegmentRanges.Stretch stretch : stretches) {
        SegmentRanges.Stretch own = own(stretch);
        if (own.length() > 0) {
          double norm = Clip.norm(Torch.view(scope, gradient, own.from(), new Shape(own.length())));
          squares += norm * norm;
        }
      }
    }
    return Math.sqrt(collective.sum(squares)[0]);
  }

  /**
   * Takes a step along the gradient; each rank for its own parts where the optimizer is sharded,
   * which it then gives to the others.
   */
  public void update(double lr, double divisor) {
    optimizer.step(lr, divisor);
    if (sharded) {
      List<Work> gathering = new ArrayList<>();
      for (int i = 0; i < stretches.size(); i++) {
        int[] counts = stretches.get(i).counts(collective.size());
        gathering.add(collective.allGather(weights.get(i).read(), travelling, counts));
      }
      for (int i = 0; i < stretches.size(); i++) {
        gathering.get(i).await();
        weights.get(i).write();
      }
    }
    clampLogitScale();
  }

  /**
   * Copies of weights and moments in host memory, for a checkpoint. When it is closed its memory
   * waits for the next one: fresh pages would cost as much as the copy itself.
   *
   * <p>A rank other than 0 has only its own parts of the moments, where the optimizer is sharded,
   * and gives them to rank 0 stretch by stretch.
   */
  public final class Snapshot implements AutoCloseable {
    private final boolean whole = collective.rank() == 0;
    private final NDManager manager = Torch.manager();
    private final NDArray parameters = whole ? zeros(manager, model.parameters().size()) : null;
    private final NDArray first = zeros(manager, moments());
    private final NDArray second = zeros(manager, moments());

    /** Stretches that rank 0 has asked for, of both moments; the last ones may be on their way. */
    private int asked;

    private final List<Work> arriving = new ArrayList<>();
    private NDManager scope;

    private Snapshot() {}

    public NDManager manager() {
      return manager;
    }

    public NDArray parameters() {
      return parameters;
    }

    public NDArray first() {
      return first;
    }

    public NDArray second() {
      return second;
    }

    private long moments() {
      return whole ? model.parameters().size() : optimizer.firstMoment().size();
    }

    private void take() {
      if (whole) {
        Torch.copy(parameters, model.parameters().data());
      }
      take(first, optimizer.firstMoment());
      take(second, optimizer.secondMoment());
      asked = 0;
    }

    private void take(NDArray target, NDArray moment) {
      if (!sharded || !whole) {
        Torch.copy(target, moment);
        return;
      }
      long at = 0;
      for (SegmentRanges.Stretch stretch : stretches) {
        SegmentRanges.Stretch own = own(stretch);
        copyRange(target, own.from(), moment, at, own.length());
        at += own.length();
      }
    }

    /** Awaits what is on its way, and asks for the next stretches; false: there is none left. */
    private boolean collect() {
      arriving.forEach(Work::await);
      arriving.clear();
      if (scope != null) {
        scope.close();
        scope = null;
      }
      if (!sharded || asked == 2 * stretches.size()) {
        return false;
      }
      scope = Torch.manager();
      long share = 2 * model.parameters().size() / COLLECTIONS;
      for (long elements = 0; elements < share && asked < 2 * stretches.size(); asked++) {
        elements += stretches.get(asked % stretches.size()).length();
        arriving.add(ask(asked < stretches.size() ? first : second, asked % stretches.size()));
      }
      return true;
    }

    private Work ask(NDArray moment, int index) {
      SegmentRanges.Stretch stretch = stretches.get(index);
      NDArray there = place(scope, whole ? moment : null, stretch);
      if (!whole) {
        SegmentRanges.Stretch own = own(stretch);
        long at = stretches.stream().limit(index).mapToLong(s -> own(s).length()).sum();
        copyRange(there, own.from() - stretch.from(), moment, at, own.length());
      }
      return collective.allGather(
          Torch.memory(there), travelling, stretch.counts(collective.size()));
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

  private static void copyRange(NDArray target, long to, NDArray source, long from, int length) {
    try (NDManager scope = Torch.manager()) {
      Torch.copy(
          Torch.view(scope, target, to, new Shape(length)),
          Torch.view(scope, source, from, new Shape(length)));
    }
  }

  /**
   * Copies the state as it is now, this rank's share of it: the beginning of a snapshot, which
   * {@link #collect} goes on with. All ranks call it together.
   */
  public void startSnapshot() {
    if (collective.rank() == 0 || sharded) {
      synchronized (lock) {
        collecting = spare == null ? new Snapshot() : spare;
        spare = null;
      }
      collecting.take();
    }
  }

  /**
   * Goes on with the snapshot that was begun: where the optimizer is sharded, the moments of the
   * other ranks come to rank 0, some with each call, beside what the caller does meanwhile. All
   * ranks call it together, until it returns false.
   *
   * @param whole takes the snapshot when it is whole, on rank 0
   */
  public boolean collect(Consumer<Snapshot> whole) {
    if (collecting == null || collecting.collect()) {
      return collecting != null;
    }
    Snapshot snapshot = collecting;
    collecting = null;
    if (collective.rank() == 0) {
      whole.accept(snapshot);
    } else {
      snapshot.close();
    }
    return false;
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
    weights.forEach(HostRange::close);
    optimizer.close();
    model.close();
  }
}
