package io.github.kklip.train.step;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.comms.Collective;
import io.github.kklip.comms.Work;
import io.github.kklip.comms.transport.ElementType;
import io.github.kklip.comms.transport.RankShards;
import io.github.kklip.config.Settings;
import io.github.kklip.loss.Losses;
import io.github.kklip.model.ClipModel;
import io.github.kklip.model.Tokens;
import io.github.kklip.model.TowerPass;
import io.github.kklip.store.Label;
import io.github.kklip.tensor.Torch;
import io.github.kklip.train.data.Batch;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.IntConsumer;

/**
 * The gradient of the loss over the global batch, the same on every rank. N ranks give that of one:
 *
 * <ol>
 *   <li>the towers embed this rank's rows, in micro-batches without a graph when they do not fit;
 *   <li>the features of all ranks are gathered;
 *   <li>each rank computes its own rows of the losses against all columns, and their gradients with
 *       respect to the features of all ranks;
 *   <li>those are summed, each rank getting the sums for its own rows;
 *   <li>from them the gradient goes back through the towers, micro-batches being computed again;
 *       each segment's gradient is summed over the ranks while the next one is computed.
 * </ol>
 */
public final class GradientStep implements AutoCloseable {
  private final ClipModel model;
  private final Collective collective;
  private final Losses losses;
  private final boolean contrastive;
  private final int micro;
  private final boolean recompute;
  private final int[] rows;
  private final int offset;
  private final int own;
  private final io.github.kklip.tensor.ElementType type;
  private final FeatureExchange text;
  private final FeatureExchange image;
  private final ByteBuffer imageNumbers;
  private final GradientSum sum;
  private final List<String> names = new ArrayList<>();

  public GradientStep(Student student, Collective collective, Settings.Train settings) {
    this(student, collective, settings, settings.loss());
  }

  /** With other weights of the losses: for those of weight 0 the batch's data is not looked at. */
  public GradientStep(
      Student student,
      Collective collective,
      Settings.Train settings,
      Settings.LossWeights weights) {
    model = student.model();
    this.collective = collective;
    losses =
        new Losses(
            model, new Losses.Weights(weights.emb(), weights.concept(), weights.contrastive()));
    contrastive = weights.contrastive() > 0;
    rows = RankShards.evenCounts(settings.batch(), collective.size());
    own = rows[collective.rank()];
    offset = Arrays.stream(rows, 0, collective.rank()).sum();
    micro = settings.microBatch() == 0 ? own : Math.min(own, settings.microBatch());
    recompute = settings.recompute();
    int width = model.config().projection();
    type = model.parameters().type();
    text = new FeatureExchange(collective, rows, width, type);
    image = new FeatureExchange(collective, rows, width, type);
    imageNumbers =
        ByteBuffer.allocateDirect(settings.batch() * Long.BYTES).order(ByteOrder.nativeOrder());
    sum = new GradientSum(model, collective, settings);
    if (weights.emb() > 0) {
      names.add(Losses.EMB);
    }
    if (weights.concept() > 0) {
      names.add(Losses.CONCEPT);
    }
    if (contrastive) {
      names.add(Losses.CONTRASTIVE);
    }
    names.add(Losses.TOTAL);
  }

  /** First position of this rank in the global batch. */
  public int from() {
    return offset;
  }

  /** The position after its last. */
  public int to() {
    return offset + own;
  }

  /**
   * Fills the flat gradient, which must be zero.
   *
   * @param scope owns what the step makes
   * @param extra numbers of this rank that come back summed over the ranks, with the losses
   * @return the loss's parts over the global batch by name, and the sums of {@code extra}
   */
  public Sums compute(NDManager scope, Batch batch, double... extra) {
    Work numbers = contrastive ? gatherImageNumbers(batch) : null;
    NDArray pixels =
        onDevice(
            scope,
            Torch.wrap(
                scope,
                batch.pixels(),
                pixelShape(batch.rows()),
                io.github.kklip.tensor.ElementType.FLOAT32));
    boolean whole = micro >= own;
    TowerPass textPass = null;
    TowerPass imagePass = null;
    if (whole) {
      textPass = model.textPass(scope, tokens(scope, batch, 0, own), recompute);
      text.gather(textPass.features());
      imagePass = model.imagePass(scope, pixels, recompute);
      image.gather(imagePass.features());
    } else {
      text.gather(inParts(scope, (manager, from, to) -> textFeatures(manager, batch, from, to)));
      image.gather(
          inParts(
              scope,
              (manager, from, to) ->
                  model.imageFeatures(manager, Torch.narrow(pixels, from, to - from))));
    }
    Losses.Result result;
    try (NDManager features = scope.newSubManager()) {
      result =
          losses.compute(
              scope,
              new Losses.Batch(
                  text.gathered(features),
                  image.gathered(features),
                  numbers == null ? null : imageNumbers(features, numbers),
                  offset,
                  own,
                  batch.teacher() == null ? null : teacher(features, batch.teacher()),
                  batch.labels() == null ? null : concepts(features, batch.labels()),
                  batch.labels() == null ? null : conceptWeights(features, batch.labels())));
    }
    text.scatter(result.dText());
    image.scatter(result.dImage());
    ByteBuffer shares = shares(result, extra);
    Work sharesSummed = collective.allReduce(shares, ElementType.FLOAT64);
    sum.segment(model.headsSegment());

    NDArray dText = text.scattered(scope);
    if (whole) {
      textPass.backward(dText, sum::segment);
      textPass.close();
    } else {
      backInParts(
          scope,
          dText,
          (manager, from, to) ->
              model.textPass(manager, tokens(manager, batch, from, to), recompute));
    }
    NDArray dImage = image.scattered(scope);
    if (whole) {
      imagePass.backward(dImage, sum::segment);
      imagePass.close();
    } else {
      backInParts(
          scope,
          dImage,
          (manager, from, to) ->
              model.imagePass(manager, Torch.narrow(pixels, from, to - from), recompute));
    }
    sum.finish();
    sharesSummed.await();
    return sums(shares, extra.length);
  }

  /**
   * Sums over all ranks.
   *
   * @param losses the loss's parts by name
   * @param extra the other numbers
   */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  public record Sums(SortedMap<String, Double> losses, double[] extra) {}

  private interface Part<T> {
    T of(NDManager manager, int from, int to);
  }

  /** The features of this rank's rows, embedded micro-batch by micro-batch without a graph. */
  private NDArray inParts(NDManager scope, Part<NDArray> embed) {
    NDArray features = Torch.zeros(scope, new Shape(own, model.config().projection()), type);
    for (int from = 0; from < own; from += micro) {
      int to = Math.min(own, from + micro);
      try (NDManager manager = scope.newSubManager()) {
        Torch.copy(Torch.narrow(features, from, to - from), embed.of(manager, from, to));
      }
    }
    return features;
  }

  /** Embeds every micro-batch again, with a graph, and goes back through it. */
  private void backInParts(NDManager scope, NDArray gradient, Part<TowerPass> embed) {
    IntConsumer notYet = segment -> {};
    for (int from = 0; from < own; from += micro) {
      int to = Math.min(own, from + micro);
      try (NDManager manager = scope.newSubManager();
          TowerPass pass = embed.of(manager, from, to);
          NDArray part = Torch.narrow(gradient, from, to - from)) {
        pass.backward(part, to == own ? sum::segment : notYet);
      }
    }
  }

  private NDArray textFeatures(NDManager manager, Batch batch, int from, int to) {
    return model.textFeatures(manager, tokens(manager, batch, from, to));
  }

  private Tokens tokens(NDManager manager, Batch batch, int from, int to) {
    return Tokens.of(
        manager, model.config().text(), Arrays.asList(batch.tokens()).subList(from, to));
  }

  private Shape pixelShape(int count) {
    int side = model.config().vision().image();
    return new Shape(count, 3, side, side);
  }

  private Work gatherImageNumbers(Batch batch) {
    imageNumbers.asLongBuffer().put(offset, batch.images());
    int[] counts = Arrays.stream(rows).map(count -> count * Long.BYTES).toArray();
    return collective.allGather(imageNumbers, ElementType.INT8, counts);
  }

  private NDArray imageNumbers(NDManager manager, Work gathered) {
    gathered.await();
    long[] numbers = new long[imageNumbers.capacity() / Long.BYTES];
    imageNumbers.asLongBuffer().get(numbers);
    return onDevice(manager, manager.create(numbers));
  }

  private NDArray teacher(NDManager manager, float[][] rows) {
    float[] flat = new float[rows.length * rows[0].length];
    for (int row = 0; row < rows.length; row++) {
      System.arraycopy(rows[row], 0, flat, row * rows[0].length, rows[0].length);
    }
    return onDevice(manager, manager.create(flat, new Shape(rows.length, rows[0].length)));
  }

  private static int kept(Label[] labels) {
    return Arrays.stream(labels).mapToInt(label -> label.concepts().length).max().orElseThrow();
  }

  private NDArray concepts(NDManager manager, Label[] labels) {
    int kept = kept(labels);
    long[] flat = new long[labels.length * kept];
    for (int row = 0; row < labels.length; row++) {
      int[] concepts = labels[row].concepts();
      for (int i = 0; i < concepts.length; i++) {
        flat[row * kept + i] = concepts[i];
      }
    }
    return onDevice(manager, manager.create(flat, new Shape(labels.length, kept)));
  }

  /** Shorter labels are filled up with concept 0 of weight 0. */
  private NDArray conceptWeights(NDManager manager, Label[] labels) {
    int kept = kept(labels);
    float[] flat = new float[labels.length * kept];
    for (int row = 0; row < labels.length; row++) {
      float[] weights = labels[row].weights();
      System.arraycopy(weights, 0, flat, row * kept, weights.length);
    }
    return onDevice(manager, manager.create(flat, new Shape(labels.length, kept)));
  }

  /** Real numbers in the type of the model, whole ones as they are. */
  private NDArray onDevice(NDManager manager, NDArray array) {
    NDArray there = Torch.send(manager, array);
    return array.getDataType() == DataType.FLOAT32
            && type != io.github.kklip.tensor.ElementType.FLOAT32
        ? Torch.cast(there, type)
        : there;
  }

  private ByteBuffer shares(Losses.Result result, double... extra) {
    ByteBuffer shares =
        ByteBuffer.allocateDirect((names.size() + extra.length) * Double.BYTES)
            .order(ByteOrder.nativeOrder());
    for (int i = 0; i < names.size(); i++) {
      shares.putDouble(i * Double.BYTES, result.parts().get(names.get(i)));
    }
    for (int i = 0; i < extra.length; i++) {
      shares.putDouble((names.size() + i) * Double.BYTES, extra[i]);
    }
    return shares;
  }

  private Sums sums(ByteBuffer shares, int extra) {
    SortedMap<String, Double> parts = new TreeMap<>();
    for (int i = 0; i < names.size(); i++) {
      parts.put(names.get(i), shares.getDouble(i * Double.BYTES));
    }
    double[] rest = new double[extra];
    for (int i = 0; i < extra; i++) {
      rest[i] = shares.getDouble((names.size() + i) * Double.BYTES);
    }
    return new Sums(parts, rest);
  }

  @Override
  public void close() {
    sum.close();
  }
}
