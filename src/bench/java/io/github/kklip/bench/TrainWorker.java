package io.github.kklip.bench;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.config.ElementType;
import io.github.kklip.config.Settings;
import io.github.kklip.config.SplitMix64;
import io.github.kklip.loss.Losses;
import io.github.kklip.model.ClipConfig;
import io.github.kklip.model.ClipModel;
import io.github.kklip.model.Tokens;
import io.github.kklip.model.TowerPass;
import io.github.kklip.optim.AdamW;
import io.github.kklip.optim.Clip;
import io.github.kklip.tensor.Torch;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * Whole training steps of the student with all three losses, clipping and AdamW, on random input:
 * one step is one block. Captions have the lengths of real ones, or fill the context.
 */
final class TrainWorker implements Worker {
  private static final int TEACHER = 1024;
  private static final int CONCEPTS = 256;
  private static final int KEPT = 4;

  private final NDManager manager;
  private final int batch;
  private final List<Integer> lengths;
  private final boolean recompute;
  private final ClipModel model;
  private final AdamW optimizer;
  private final Losses losses;
  private final SplitMix64 random = new SplitMix64(1);
  private int next;

  /**
   * @param lengths of captions in tokens, taken in turn; empty: all fill the context
   */
  TrainWorker(
      NDManager manager,
      String config,
      int batch,
      ElementType compute,
      List<Integer> lengths,
      boolean recompute) {
    this.manager = manager;
    this.batch = batch;
    this.lengths = lengths;
    this.recompute = recompute;
    model =
        new ClipModel(
            manager,
            ClipConfig.read(config),
            new ClipModel.Heads(TEACHER, CONCEPTS, true),
            ElementType.FLOAT32,
            Torch.products(compute, manager.getDevice()));
    model.initialise(1);
    model.parameters().bindGradients();
    optimizer = new AdamW(model.parameters(), Settings.load(List.of(), List.of()).train().adamw());
    losses = new Losses(model, new Losses.Weights(1, 0.01, 1));
  }

  private List<int[]> captions(ClipConfig.Text text) {
    List<int[]> captions = new ArrayList<>();
    for (int row = 0; row < batch; row++) {
      int wanted = lengths.isEmpty() ? text.context() : lengths.get(next++ % lengths.size());
      int[] caption = new int[Math.min(wanted, text.context())];
      Arrays.setAll(caption, i -> random.nextInt(text.startId()));
      caption[0] = text.startId();
      caption[caption.length - 1] = text.endId();
      captions.add(caption);
    }
    return captions;
  }

  @Override
  public Map<String, Object> block() {
    ClipConfig config = model.config();
    long[] images = new long[batch];
    Arrays.setAll(images, i -> i);
    long[] concepts = new long[batch * KEPT];
    Arrays.setAll(concepts, i -> random.nextInt(CONCEPTS));
    try (NDManager step = manager.newSubManager()) {
      int side = config.vision().image();
      NDArray pixels = Torch.zeros(step, new Shape(batch, 3, side, side), ElementType.FLOAT32);
      Torch.normal(pixels, 0, 1, next);
      NDArray teacher = Torch.zeros(step, new Shape(batch, TEACHER), ElementType.FLOAT32);
      Torch.normal(teacher, 0, 1, next);
      List<int[]> captions = captions(config.text());
      long start = System.nanoTime();
      model.parameters().zeroGradients();
      try (TowerPass text =
              model.textPass(step, Tokens.of(step, config.text(), captions), recompute);
          TowerPass image = model.imagePass(step, pixels, recompute)) {
        Losses.LossResult result =
            losses.compute(
                step,
                new Losses.Inputs(
                    text.features(),
                    image.features(),
                    step.create(images),
                    0,
                    batch,
                    teacher,
                    step.create(concepts, new Shape(batch, KEPT)),
                    step.full(new Shape(batch, KEPT), 1f / KEPT)));
        text.backward(result.dText(), segment -> {});
        image.backward(result.dImage(), segment -> {});
      }
      long passed = System.nanoTime();
      double norm = Clip.norm(model.parameters().gradient());
      long known = System.nanoTime();
      optimizer.step(1e-4, new Clip(1).divisor(norm));
      model.clampLogitScale();
      // A GPU may still be at it.
      Torch.scalar(Torch.narrow(model.parameters().data(), 0, 1));
      long end = System.nanoTime();
      return Map.of(
          "items",
          batch,
          "seconds",
          (end - start) / 1e9,
          // On a GPU: until the host has handed out both passes, until they are done, and the
          // update.
          "passes_ms",
          (passed - start) / 1e6,
          "norm_ms",
          (known - passed) / 1e6,
          "update_ms",
          (end - known) / 1e6,
          "flat_mib",
          4 * 4 * model.parameters().size() >> 20);
    }
  }

  @Override
  public void close() {
    manager.close();
  }
}
