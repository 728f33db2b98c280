package io.github.kklip.loss;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.config.ElementType;
import io.github.kklip.config.Settings;
import io.github.kklip.config.SplitMix64;
import io.github.kklip.model.ClipConfig;
import io.github.kklip.model.ClipModel;
import io.github.kklip.model.Tokens;
import io.github.kklip.model.TowerPass;
import io.github.kklip.optim.AdamW;
import io.github.kklip.optim.Clip;
import io.github.kklip.tensor.TestDevice;
import io.github.kklip.tensor.Torch;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * One whole training step of the student on random input, without data and ranks, for the memory
 * test.
 */
final class StudentStep implements AutoCloseable {
  private static final int TEACHER = 256;
  private static final int CONCEPTS = 256;
  private static final int KEPT = 4;

  private final NDManager manager = TestDevice.manager();
  private final ClipModel model;
  private final AdamW optimizer;
  private final Losses losses;
  private final int batch;
  private final int longest;
  private long seed;

  StudentStep(String config, int batch, ElementType compute, int longest) {
    this.batch = batch;
    this.longest = longest;
    model =
        new ClipModel(
            manager,
            ClipConfig.read(config),
            new ClipModel.Heads(TEACHER, CONCEPTS, true),
            ElementType.FLOAT32,
            compute);
    model.initialise(1);
    model.parameters().bindGradients();
    optimizer = new AdamW(model.parameters(), Settings.load(List.of(), List.of()).train().adamw());
    losses = new Losses(model, new Losses.Weights(1, 0.01, 1));
  }

  /** Takes a step on new input and returns the loss. */
  double run() {
    SplitMix64 random = new SplitMix64(seed++);
    ClipConfig config = model.config();
    List<int[]> captions = new ArrayList<>();
    for (int row = 0; row < batch; row++) {
      // Lengths as of real captions: most are about half as long as the longest.
      int length =
          row == 0
              ? longest
              : 3 + random.nextInt(longest - 3) / 2 + random.nextInt(longest - 3) / 3;
      int[] caption = new int[length];
      Arrays.setAll(caption, i -> random.nextInt(config.text().startId()));
      caption[0] = config.text().startId();
      caption[length - 1] = config.text().endId();
      captions.add(caption);
    }
    long[] images = new long[batch];
    Arrays.setAll(images, i -> i);
    long[] concepts = new long[batch * KEPT];
    Arrays.setAll(concepts, i -> random.nextInt(CONCEPTS));
    try (NDManager step = manager.newSubManager()) {
      int side = config.vision().image();
      NDArray pixels = Torch.zeros(step, new Shape(batch, 3, side, side), ElementType.FLOAT32);
      Torch.normal(pixels, 0, 1, seed);
      NDArray teacher = Torch.zeros(step, new Shape(batch, TEACHER), ElementType.FLOAT32);
      Torch.normal(teacher, 0, 1, seed);
      model.parameters().zeroGradients();
      Losses.LossResult result;
      try (TowerPass text = model.textPass(step, Tokens.of(step, config.text(), captions), false);
          TowerPass image = model.imagePass(step, pixels, false)) {
        result =
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
        image.backward(result.dImage(), segment -> {});
        text.backward(result.dText(), segment -> {});
      }
      double norm = Clip.norm(model.parameters().gradient());
      optimizer.step(1e-4, new Clip(1).divisor(norm));
      model.clampLogitScale();
      return result.terms().get(Losses.TOTAL);
    }
  }

  @Override
  public void close() {
    manager.close();
  }
}
