package io.github.kklip.teacher;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.config.Settings;
import io.github.kklip.store.Json;
import io.github.kklip.tensor.ElementType;
import io.github.kklip.tensor.Torch;
import io.github.kklip.text.TeacherTokenizer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Times the embedding of captions; one line of JSON. src/test/python/llama_bench.py runs it in turn
 * with transformers.
 *
 * <p>Arguments: model folder, file of captions (one a line), float32 or bfloat16, threads.
 */
final class CaptionBench {
  private CaptionBench() {}

  public static void main(String[] arguments) throws Exception {
    Path folder = Path.of(arguments[0]);
    List<String> captions = Files.readAllLines(Path.of(arguments[1]));
    Torch.start(Integer.parseInt(arguments[3]));
    Settings.Teacher settings =
        Settings.load(List.of(), List.of("teacher.dtype=" + arguments[2])).teacher();
    ElementType type = ElementType.valueOf(arguments[2].toUpperCase(Locale.ROOT));
    double peakBefore = peak(type);
    Map<String, Object> line = new LinkedHashMap<>();
    try (CaptionEmbedder embedder = CaptionEmbedder.open(folder, settings, Device.cpu())) {
      embedder.embed(captions.subList(0, 64));
      long start = System.nanoTime();
      embedder.embed(captions);
      double seconds = (System.nanoTime() - start) / 1e9;
      line.put("dtype", arguments[2]);
      line.put("captions", captions.size());
      line.put("seconds", seconds);
      line.put("captions_per_s", captions.size() / seconds);
      line.put("gflops", operations(folder, captions, settings) / seconds / 1e9);
      line.put("gemm_gflops_before", peakBefore);
      line.put("gemm_gflops_after", peak(type));
    }
    System.out.println(Json.line(line));
  }

  /** Multiplications and additions that the captions need, without padding or attention. */
  private static double operations(Path folder, List<String> captions, Settings.Teacher settings)
      throws Exception {
    LlamaConfig config = LlamaConfig.read(folder);
    long matrices =
        config.parameters(config.layers())
            - (long) config.vocabSize() * config.hidden()
            - (2L * config.layers() + 1) * config.hidden();
    try (TeacherTokenizer tokenizer = TeacherTokenizer.load(folder)) {
      return 2.0
          * matrices
          * captions.stream()
              .distinct()
              .mapToLong(caption -> tokenizer.encode(caption, settings.maxLength()).length)
              .sum();
    }
  }

  /** GFLOP/s of one matrix product of the model's size: the best of some. */
  private static double peak(ElementType type) {
    double best = 0;
    try (NDManager manager = Torch.manager()) {
      NDArray x = Torch.cast(manager.randomNormal(new Shape(4096, 1024), DataType.FLOAT32), type);
      NDArray w = Torch.cast(manager.randomNormal(new Shape(2752, 1024), DataType.FLOAT32), type);
      for (int i = 0; i < 6; i++) {
        long start = System.nanoTime();
        Torch.module("teacher/llama").call(manager, "linear", x, w).close();
        best = Math.max(best, 2.0 * 4096 * 1024 * 2752 / (System.nanoTime() - start));
      }
    }
    return best;
  }
}
