package io.github.kklip.loss;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.kklip.config.SplitMix64;
import io.github.kklip.model.ClipConfig;
import io.github.kklip.model.ClipModel;
import io.github.kklip.model.Pass;
import io.github.kklip.model.Tokens;
import io.github.kklip.optim.AdamW;
import io.github.kklip.optim.Clip;
import io.github.kklip.tensor.ElementType;
import io.github.kklip.tensor.Torch;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * One whole training step of the student on random input, without data and ranks: for the memory
 * test, and as a program for timing.
 *
 * <pre>java ... StudentStep CONFIG BATCH FLOAT32|BFLOAT16 STEPS THREADS LONGEST_CAPTION</pre>
 *
 * prints one line of JSON: median and best seconds of wall time, the median of the process's CPU
 * time (which foreign load disturbs less), samples a second, and the peak of resident memory.
 */
final class StudentStep implements AutoCloseable {
  private static final int TEACHER = 256;
  private static final int CONCEPTS = 256;
  private static final int KEPT = 4;

  private final NDManager manager = Torch.manager();
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
    optimizer = new AdamW(model.parameters(), new AdamW.Settings(0.9, 0.98, 1e-6, 0.2));
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
      Losses.Result result;
      try (Pass text = model.textPass(step, Tokens.of(step, config.text(), captions), false);
          Pass image = model.imagePass(step, pixels, false)) {
        result =
            losses.compute(
                step,
                new Losses.Batch(
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
      return result.parts().get(Losses.TOTAL);
    }
  }

  /** A field of /proc/self/status in KiB: VmRSS or VmHWM. */
  static long kibibytes(String field) throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith(field + ":")) {
        return Long.parseLong(line.replaceAll("\\D", ""));
      }
    }
    throw new IOException("no " + field);
  }

  @Override
  public void close() {
    manager.close();
  }

  public static void main(String[] arguments) throws IOException {
    int batch = Integer.parseInt(arguments[1]);
    int steps = Integer.parseInt(arguments[3]);
    Torch.start(Integer.parseInt(arguments[4]));
    var system =
        (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    double[] wall = new double[steps];
    double[] cpu = new double[steps];
    try (StudentStep step =
        new StudentStep(
            arguments[0],
            batch,
            ElementType.valueOf(arguments[2]),
            Integer.parseInt(arguments[5]))) {
      step.run();
      step.run();
      for (int i = 0; i < steps; i++) {
        long wallBefore = System.nanoTime();
        long cpuBefore = system.getProcessCpuTime();
        step.run();
        wall[i] = (System.nanoTime() - wallBefore) * 1e-9;
        cpu[i] = (system.getProcessCpuTime() - cpuBefore) * 1e-9;
      }
    }
    Arrays.sort(wall);
    Arrays.sort(cpu);
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("bench", "student_step");
    line.put("arguments", arguments);
    line.put("step_s", wall[steps / 2]);
    line.put("step_s_best", wall[0]);
    line.put("step_cpu_s", cpu[steps / 2]);
    line.put("samples_per_s", batch / wall[steps / 2]);
    line.put("samples_per_cpu_s", batch / cpu[steps / 2]);
    line.put("peak_rss_mib", kibibytes("VmHWM") / 1024);
    System.out.println(new ObjectMapper().writeValueAsString(line));
  }
}
