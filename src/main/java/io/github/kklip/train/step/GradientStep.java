package io.github.kklip.train.step;

import ai.djl.ndarray.NDManager;
import io.github.kklip.comms.Collective;
import io.github.kklip.comms.transport.RankShards;
import io.github.kklip.config.TrainSettings;
import io.github.kklip.loss.Losses;
import io.github.kklip.model.ClipModel;
import io.github.kklip.train.data.Batch;

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
  private final int offset;
  private final int own;
  private final TowerStep text;
  private final TowerStep image;
  private final ImageNumbers imageNumbers;
  private final GradientSum sum;

  public GradientStep(Student student, Collective collective, TrainSettings settings) {
    this(student, collective, settings, settings.loss());
  }

  /** With other weights of the losses: for those of weight 0 the batch's data is not looked at. */
  public GradientStep(
      Student student,
      Collective collective,
      TrainSettings settings,
      TrainSettings.LossSettings weights) {
    model = student.model();
    this.collective = collective;
    losses =
        new Losses(
            model, new Losses.Weights(weights.emb(), weights.concept(), weights.contrastive()));
    contrastive = weights.contrastive() > 0;
    int[] rows = RankShards.evenCounts(settings.schedule().batch(), collective.size());
    own = rows[collective.rank()];
    offset = RankShards.start(rows, collective.rank());
    int micro =
        settings.step().microBatch() == 0 ? own : Math.min(own, settings.step().microBatch());
    boolean recompute = settings.step().recompute();
    text =
        new TowerStep(
            exchange(rows),
            own,
            micro,
            (manager, batch, from, to) ->
                model.textFeatures(manager, batch.tokens(manager, from, to)),
            (manager, batch, from, to) ->
                model.textPass(manager, batch.tokens(manager, from, to), recompute));
    image =
        new TowerStep(
            exchange(rows),
            own,
            micro,
            (manager, batch, from, to) -> model.imageFeatures(manager, batch.pixels(from, to)),
            (manager, batch, from, to) ->
                model.imagePass(manager, batch.pixels(from, to), recompute));
    imageNumbers = new ImageNumbers(collective, rows);
    sum = new GradientSum(model, collective, settings);
  }

  private FeatureExchange exchange(int[] rows) {
    return new FeatureExchange(
        collective, rows, model.config().projection(), model.parameters().type());
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
   * @param rows this rank's rows
   * @param signals of this rank, which come back summed over the ranks
   */
  public StepSums compute(NDManager scope, Batch rows, StepSignals signals) {
    if (contrastive) {
      imageNumbers.gather(rows.images());
    }
    DeviceBatch batch = new DeviceBatch(scope, model, rows);
    text.forward(scope, batch);
    image.forward(scope, batch);
    Losses.LossResult loss = loss(scope, batch);
    text.exchange().scatter(loss.dText());
    image.exchange().scatter(loss.dImage());
    StepSums.Pending sums = new StepSums.Pending(collective, loss.terms(), signals);
    sum.segment(model.headsSegment());
    text.backward(scope, batch, sum::segment);
    image.backward(scope, batch, sum::segment);
    sum.finish();
    return sums.await();
  }

  /** This rank's rows of the losses; {@link Losses} computes each term. */
  private Losses.LossResult loss(NDManager scope, DeviceBatch batch) {
    try (NDManager inputs = scope.newSubManager()) {
      return losses.compute(
          scope,
          new Losses.Inputs(
              text.exchange().gathered(inputs),
              image.exchange().gathered(inputs),
              contrastive ? imageNumbers.gathered(inputs) : null,
              offset,
              own,
              batch.teacher(inputs),
              batch.concepts(inputs),
              batch.conceptWeights(inputs)));
    }
  }

  @Override
  public void close() {
    sum.close();
  }
}
