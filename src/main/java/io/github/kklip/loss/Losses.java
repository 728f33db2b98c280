package io.github.kklip.loss;

import static io.github.kklip.config.Message.message;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.kklip.model.ClipModel;
import io.github.kklip.tensor.Grad;
import io.github.kklip.tensor.Torch;
import io.github.kklip.tensor.TorchModule;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The objective of KKLIP (arXiv 2412.03513): L = alpha L_emb + beta L_concept + gamma L_clip.
 *
 * <ul>
 *   <li>L_emb = mean_i || E_T(x_i) W_e - t_i ||², t the teacher's embedding;
 *   <li>L_concept = mean_i CE(s_i, softmax(E_T(x_i) W_c)) + CE(s_i, softmax(E_I(x_i) W_c')), s the
 *       soft concept label, W_c and W_c' one and the same with {@code train.shared-classifier};
 *   <li>L_clip = the mean of the two directions of InfoNCE over the global batch, with z =
 *       exp(logit_scale) cos(E_T, E_I). Rows of the same image are not negatives of each other:
 *       z_ij is left out where image_i = image_j and i != j.
 * </ul>
 *
 * <p>E are the projected embeddings before normalisation. Each rank computes its own rows of every
 * loss, L_clip against the columns of all ranks, divided by the size of the global batch: losses
 * and gradients of all ranks add up to those of one rank with the whole batch. A loss of weight 0
 * is not computed.
 */
public final class Losses {
  /** The name of L_emb, without its weight. */
  public static final String EMB = "emb";

  /** The name of L_concept, without its weight. */
  public static final String CONCEPT = "concept";

  /** The name of L_clip, without its weight. */
  public static final String CONTRASTIVE = "contrastive";

  /** The name of L, the weighted sum. */
  public static final String TOTAL = "loss";

  /** alpha, beta, gamma. */
  public record Weights(double emb, double concept, double contrastive) {
    public Weights {
      if (!(emb >= 0 && concept >= 0 && contrastive >= 0 && emb + concept + contrastive > 0)) {
        throw new IllegalArgumentException(
            message(
                "Cannot use the loss weights %s, %s, %s, because they must be 0 or more and not all 0.",
                emb, concept, contrastive));
      }
    }
  }

  /**
   * What one rank knows of a step. B is the global batch, b this rank's rows, P the projection.
   *
   * @param text [B, P] features of all ranks, in rank order
   * @param image [B, P]
   * @param images int64 [B]: equal numbers for rows of the same image; null when L_clip has weight
   *     0
   * @param offset this rank's first row
   * @param rows b
   * @param teacher [b, teacher dimension] of this rank's rows; null when L_emb has weight 0
   * @param concepts int64 [b, k] concept indices of this rank's rows; null when L_concept has
   *     weight 0
   * @param conceptWeights [b, k] of sum 1 in each row (an index with weight 0 fills up); null
   *     likewise
   */
  public record Inputs(
      NDArray text,
      NDArray image,
      NDArray images,
      int offset,
      int rows,
      NDArray teacher,
      NDArray concepts,
      NDArray conceptWeights) {}

  /**
   * What one rank adds to a step.
   *
   * @param terms name to this rank's share of the loss; the shares of all ranks add up
   * @param dText [B, P]: this rank's share of the gradients of all ranks' features, to be added up
   *     over ranks
   * @param dImage [B, P]
   */
  public record LossResult(Map<String, Double> terms, NDArray dText, NDArray dImage) {}

  private final ClipModel model;
  private final Weights weights;
  private final TorchModule methods = Torch.module("loss/losses");

  public Losses(ClipModel model, Weights weights) {
    this.model = model;
    this.weights = weights;
    require(
        weights.emb() == 0 || model.heads().teacher() > 0, EMB, "the model has no embedding head");
    require(
        weights.concept() == 0 || model.heads().concepts() > 0,
        CONCEPT,
        "the model has no concept head");
  }

  private static void require(boolean holds, String loss, String reason) {
    if (!holds) {
      throw new IllegalArgumentException(
          message(
              "Cannot compute the loss %s, because %s. Give it the weight 0 or what it needs.",
              loss, reason));
    }
  }

  /**
   * Computes this rank's share. Gradients of the heads and of {@code logit_scale} are added to the
   * model's flat gradient (its {@link ClipModel#headsSegment}); those of the features come back, in
   * arrays of {@code manager}.
   */
  public LossResult compute(NDManager manager, Inputs batch) {
    require(
        weights.emb() == 0 || batch.teacher() != null, EMB, "the batch has no teacher embeddings");
    require(
        weights.concept() == 0 || batch.concepts() != null,
        CONCEPT,
        "the batch has no concept labels");
    require(
        weights.contrastive() == 0 || batch.images() != null,
        CONTRASTIVE,
        "the batch has no image numbers");
    try (NDManager scope = manager.newSubManager();
        Grad grad = Grad.on()) {
      NDArray text = grad.leaf(scope, batch.text());
      NDArray image = grad.leaf(scope, batch.image());
      Map<String, NDArray> losses = new LinkedHashMap<>();
      Map<String, Double> factors =
          Map.of(
              EMB, weights.emb(), CONCEPT, weights.concept(), CONTRASTIVE, weights.contrastive());
      // Features that no term has seen have no gradient to ask for.
      boolean usesImage = false;
      if (weights.emb() > 0) {
        losses.put(EMB, emb(scope, text, batch));
      }
      if (weights.concept() > 0) {
        losses.put(CONCEPT, concept(scope, text, image, batch));
        usesImage = true;
      }
      if (weights.contrastive() > 0) {
        losses.put(CONTRASTIVE, contrastive(scope, text, image, batch));
        usesImage = true;
      }
      Map<String, Double> terms = new LinkedHashMap<>();
      NDArray total = null;
      double sum = 0;
      for (Map.Entry<String, NDArray> loss : losses.entrySet()) {
        double factor = factors.get(loss.getKey());
        double value = Torch.scalar(loss.getValue());
        terms.put(loss.getKey(), value);
        sum += factor * value;
        // Not NDArray.mul: the collector may free its factor's buffer before the backward pass.
        NDArray weighted = methods.call(scope, "weighted", loss.getValue(), factor);
        total = total == null ? weighted : total.add(weighted);
      }
      terms.put(TOTAL, sum);
      grad.backward(total);
      return new LossResult(
          terms, gradient(manager, text, true), gradient(manager, image, usesImage));
    }
  }

  /**
   * This rank's share of L_emb = 1/B sum_i || E_T(x_i) W_e - t_i ||²: B rows of the global batch, i
   * those of this rank, E_T(x_i) [P] the caption's features, W_e the embedding head, t_i the
   * teacher's embedding.
   */
  private NDArray emb(NDManager scope, NDArray text, Inputs batch) {
    return methods.call(
        scope, "emb", text, leaf(ClipModel.EMBEDDING_HEAD), batch.teacher(), batch.offset());
  }

  /**
   * This rank's share of L_concept = 1/B sum_i (CE(s_i, softmax(E_T(x_i) W_c)) + CE(s_i,
   * softmax(E_I(x_i) W_c'))): s_i the soft label, E_T and E_I features of caption and image, W_c
   * and W_c' the concept heads, one and the same with {@code train.shared-classifier}; CE(s, p) =
   * -sum_k s_k ln p_k.
   */
  private NDArray concept(NDManager scope, NDArray text, NDArray image, Inputs batch) {
    String imageHead =
        model.heads().sharedClassifier() ? ClipModel.CONCEPT_HEAD : ClipModel.IMAGE_CONCEPT_HEAD;
    return crossEntropy(scope, text, ClipModel.CONCEPT_HEAD, batch)
        .add(crossEntropy(scope, image, imageHead, batch));
  }

  private NDArray crossEntropy(NDManager scope, NDArray features, String head, Inputs batch) {
    return methods.call(
        scope,
        CONCEPT,
        features,
        leaf(head),
        batch.concepts(),
        batch.conceptWeights(),
        batch.offset());
  }

  /**
   * This rank's share of L_clip = -1/(2 B) sum_i (ln softmax_j(z_ij)[i] + ln softmax_j(z_ji)[i]),
   * with z_ij = exp(logit_scale) cos(E_T(x_i), E_I(x_j)), i over this rank's rows and j over those
   * of all ranks but for other rows of the same image.
   */
  private NDArray contrastive(NDManager scope, NDArray text, NDArray image, Inputs batch) {
    return methods.call(
        scope,
        "contrastive",
        text,
        image,
        leaf(ClipModel.LOGIT_SCALE),
        batch.images(),
        batch.offset(),
        batch.rows());
  }

  private NDArray leaf(String name) {
    return model.parameters().leaf(name);
  }

  private NDArray gradient(NDManager manager, NDArray leaf, boolean used) {
    if (!used) {
      return Torch.zeros(manager, leaf.getShape(), model.parameters().type());
    }
    NDArray gradient = Grad.of(leaf);
    gradient.attach(manager);
    return gradient;
  }

  /**
   * The contrastive loss of a batch of {@code rows} when nothing is learned yet: what a run should
   * start near.
   */
  public static double expectedFirstContrastive(int rows) {
    return Math.log(rows);
  }
}
