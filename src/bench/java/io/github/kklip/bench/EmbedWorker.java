package io.github.kklip.bench;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.config.ElementType;
import io.github.kklip.config.Settings;
import io.github.kklip.teacher.CaptionEmbedder;
import io.github.kklip.tensor.Torch;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * The teacher's embeddings of a list of captions, tokenizing included: all of them are one block.
 */
final class EmbedWorker implements Worker {
  private final Device device;
  private final CaptionEmbedder embedder;
  private final List<String> captions;
  private final ElementType type;
  private int blocks;

  EmbedWorker(Device device, Path folder, Path captions, ElementType type, int count)
      throws Exception {
    this.device = device;
    // The peak is that of the products that the teacher makes.
    this.type = Torch.products(type, device);
    this.captions = Files.readAllLines(captions).subList(0, count);
    embedder =
        CaptionEmbedder.open(
            folder,
            Settings.load(
                    List.of(),
                    List.of("teacher.dtype=" + type.name().toLowerCase(java.util.Locale.ROOT)))
                .teacher(),
            device);
  }

  @Override
  public Map<String, Object> block() {
    double peak = peak();
    List<String> part =
        blocks++ == 0 ? captions.subList(0, Math.min(256, captions.size())) : captions;
    long start = System.nanoTime();
    List<float[]> embeddings = embedder.embed(part);
    double seconds = (System.nanoTime() - start) / 1e9;
    double sum = 0;
    for (float[] embedding : embeddings) {
      sum += Math.abs(embedding[7]);
    }
    long tokens = part.stream().mapToLong(caption -> 1 + caption.split(" ").length).sum();
    return Map.of(
        "items",
        part.size(),
        "seconds",
        seconds,
        "gflops",
        2.0 * LlamaFolder.LAYER_PARAMETERS * tokens / seconds / 1e9,
        "gemm_gflops",
        peak,
        "check",
        sum / part.size());
  }

  /** GFLOP/s of one matrix product of the model's size: the best of some. */
  private double peak() {
    double best = 0;
    try (NDManager manager = Torch.manager(device)) {
      NDArray x = Torch.cast(manager.randomNormal(new Shape(2048, 1024), DataType.FLOAT32), type);
      NDArray w = Torch.cast(manager.randomNormal(new Shape(2752, 1024), DataType.FLOAT32), type);
      for (int i = 0; i < 5; i++) {
        long start = System.nanoTime();
        Torch.module("teacher/llama").call(manager, "linear", x, w).close();
        best = Math.max(best, 2.0 * 2048 * 1024 * 2752 / (System.nanoTime() - start));
      }
    }
    return best;
  }

  @Override
  public void close() {
    embedder.close();
  }
}
