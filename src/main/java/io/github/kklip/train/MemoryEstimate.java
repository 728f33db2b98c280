package io.github.kklip.train;

import io.github.kklip.config.Dtype;
import io.github.kklip.config.TrainSettings;
import io.github.kklip.model.ClipConfig;
import io.github.kklip.model.ClipModel;
import io.github.kklip.train.plan.TrainPlan;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * Native memory of a rank beyond what an idle process with libtorch takes: what {@code
 * spark.executor.memoryOverhead} has to hold on the CPU.
 *
 * <p>With P parameters, b rows of one pass, T positions, width w, inner width i and e bytes of a
 * product's element, a transformer layer keeps for its backward pass, for each row and position:
 * the residual stream before attention and before the perceptron (2 w float32); the two norms,
 * queries, keys, values, attention's output twice (7 w e); the perceptron before and after its
 * activation (2 i e). With {@code train.recompute} it keeps the residual stream before attention
 * alone, and one layer at a time has the rest, for which three are counted: so much the allocator
 * holds when layer after layer is computed and freed (measured).
 *
 * @param parts bytes by what they are for
 */
public record MemoryEstimate(Map<String, Long> parts) {
  /**
   * What libtorch, the JVM's code, stacks and metaspace take beside it: measured, 200 MiB in a bare
   * process, 240 in an executor of Spark, and 290 to 350 in the one whose rank writes checkpoints.
   */
  public static final long IDLE = 320L << 20;

  /** What products, decoders and the allocators of several threads hold: measured. */
  private static final long WORKSPACES = 64L << 20;

  private static final int FLOAT = Float.BYTES;
  private static final String PIXELS = "pixels of a step";
  private static final String PREFETCH = "prefetch";
  private static final String TRANSPORT = "transport";

  /** Of the plan's run on rank 0, which writes the checkpoints. */
  public static MemoryEstimate of(TrainPlan plan) {
    TrainSettings train = plan.settings().train();
    ClipConfig shape = plan.shape();
    long parameters = ClipModel.size(shape, plan.heads());
    int ranks = train.ranks();
    long rows = (train.schedule().batch() + ranks - 1L) / ranks;
    boolean whole = train.step().microBatch() == 0 || train.step().microBatch() >= rows;
    long pass = whole ? rows : train.step().microBatch();
    boolean halves = train.step().precision() == Dtype.BFLOAT16;
    int element = halves ? 2 : FLOAT;
    ClipConfig.Text text = shape.text();
    ClipConfig.Vision vision = shape.vision();
    long pixels = 3L * vision.image() * vision.image() * FLOAT;
    boolean recompute = train.step().recompute();
    long ofText =
        kept(recompute, text.layers(), text.context(), text.width(), text.intermediate(), element);
    long ofImage =
        kept(
                recompute,
                vision.layers(),
                vision.grid() * (long) vision.grid() + 1,
                vision.width(),
                vision.intermediate(),
                element)
            + pixels * element / FLOAT;
    Map<String, Long> parts = new LinkedHashMap<>();
    parts.put("parameters", parameters * FLOAT);
    parts.put("gradients", parameters * FLOAT);
    parts.put("moments", 2 * parameters * FLOAT / (train.step().shardOptimizer() ? ranks : 1));
    parts.put("bfloat16 copies", halves ? parameters * 2 : 0);
    // With micro-batches one tower's pass is there at a time.
    parts.put("activations", pass * (whole ? ofText + ofImage : Math.max(ofText, ofImage)));
    parts.put(
        "features and logits",
        FLOAT
            * (6L * train.schedule().batch() * shape.projection()
                + 8L * rows * train.schedule().batch()));
    parts.put("checkpoint's copy", 3 * parameters * FLOAT);
    parts.put(PIXELS, rows * pixels);
    parts.put(PREFETCH, Math.max(train.loader().prefetch(), rows * pixels));
    parts.put(
        TRANSPORT,
        ranks == 1 ? 0 : (40L << 20) + (train.step().compressGradients() ? parameters * 2 : 0));
    parts.put("workspaces", WORKSPACES);
    return new MemoryEstimate(parts);
  }

  private static long kept(
      boolean recompute, int layers, long positions, long width, long inner, int element) {
    long layer = 2 * width * FLOAT + (7 * width + 2 * inner) * element;
    long layersKept = recompute ? layers * width * FLOAT + 3 * layer : layers * layer;
    // One layer's gradients beside it, while it goes backward.
    return positions * (layersKept + layer);
  }

  /** Of these, what lies in direct buffers of the JVM, which it bounds by its heap's size. */
  public long direct() {
    return parts.get(PREFETCH) + parts.get(PIXELS) + parts.get(TRANSPORT);
  }

  /** Bytes in all. */
  public long total() {
    return parts.values().stream().mapToLong(Long::longValue).sum();
  }

  @Override
  public String toString() {
    return parts.entrySet().stream()
        .filter(part -> part.getValue() > 0)
        .map(part -> part.getKey() + " " + (part.getValue() >> 20))
        .collect(Collectors.joining(", ", (total() >> 20) + " MiB (", ")"));
  }
}
