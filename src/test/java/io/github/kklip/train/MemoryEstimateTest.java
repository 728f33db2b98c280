package io.github.kklip.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withinPercentage;

import io.github.kklip.launch.BarrierLauncher;
import io.github.kklip.launch.LocalCluster;
import io.github.kklip.launch.RankBody;
import io.github.kklip.tensor.Torch;
import io.github.kklip.train.plan.TrainPlan;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.spark.api.java.JavaSparkContext;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class MemoryEstimateTest {
  @TempDir private Path folder;

  /** A student of 12 million parameters whose text context the captions fill. */
  private String student() throws IOException {
    return "student.config="
        + Files.writeString(
            folder.resolve("student.json"),
            """
            {"model_type": "clip", "projection_dim": 192,
             "text_config": {"vocab_size": 555, "max_position_embeddings": 12, "hidden_size": 256,
               "intermediate_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 4,
               "bos_token_id": 553, "eos_token_id": 554, "pad_token_id": 554},
             "vision_config": {"image_size": 64, "patch_size": 8, "hidden_size": 256,
               "intermediate_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 4}}
            """);
  }

  @ParameterizedTest
  @CsvSource({"48, 0, 4, false", "96, 16, 4, false", "32, 0, 200, false", "96, 0, 4, true"})
  void theEstimateIsNearWhatAProcessTakes(int batch, int micro, int prefetch, boolean recompute)
      throws Exception {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                // The heap is not what is measured: it stays small.
                "-Xmx96m",
                "-Xms96m",
                "-XX:+AlwaysPreTouch",
                "-XX:MaxDirectMemorySize=400m",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                MemoryProcess.class.getName(),
                folder.toString(),
                student(),
                "train.batch=" + batch,
                "train.micro-batch=" + micro,
                "train.recompute=" + recompute,
                "train.steps=1000",
                "train.checkpoint.every-steps=2",
                "train.prefetch=" + prefetch + " MiB",
                "train.loss.emb=0",
                "train.loss.concept=0"));
    Path log = folder.resolve("log");
    Process process = new ProcessBuilder(command).redirectError(log.toFile()).start();
    String output =
        new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).trim();
    assertThat(process.waitFor(2, TimeUnit.MINUTES)).isTrue();
    assertThat(output).as(Files.readString(log)).matches("\\d+ \\d+ \\d+");
    String[] words = output.split(" ", -1);
    double estimate = Double.parseDouble(words[0]);
    assertThat(estimate).isCloseTo(Double.parseDouble(words[1]), withinPercentage(20));
    // What the driver asks memoryOverhead to hold leaves room for Spark.
    assertThat(estimate + MemoryEstimate.IDLE)
        .isBetween(Double.parseDouble(words[2]), Double.parseDouble(words[2]) * 1.35);
  }

  /** All that the driver asks {@code spark.executor.memoryOverhead} to hold. */
  @ParameterizedTest
  @ValueSource(strings = {"float32", "bfloat16"})
  void theOverheadIsNearWhatAnExecutorTakesBesideItsHeap(String precision) throws Exception {
    TrainPlan plan =
        TinyDataset.pairs(folder.resolve("data"), 300)
            .plan(
                folder.resolve("run"),
                student(),
                "train.ranks=2",
                "train.batch=96",
                "train.steps=1000",
                "train.precision=" + precision,
                "train.compress-gradients=" + precision.equals("bfloat16"),
                "train.checkpoint.every-steps=2",
                "train.prefetch=4 MiB",
                "train.loss.emb=0",
                "train.loss.concept=0");
    Map<String, String> conf =
        Map.of("spark.executor.extraJavaOptions", "-Xms512m -XX:+AlwaysPreTouch");
    try (JavaSparkContext spark = LocalCluster.open(2, 1, conf)) {
      long taken =
          new BarrierLauncher(spark, plan.settings())
              .run("kklip memory", line -> {}, () -> 0, body(plan))
              .get(0);
      long overhead = MemoryEstimate.of(plan).total() + MemoryEstimate.IDLE;
      assertThat(overhead).isCloseTo(taken, withinPercentage(20));
    }
  }

  private static RankBody<Long> body(TrainPlan plan) {
    return (scope, collective) -> {
      Torch.start(1);
      return MemoryProcess.trained(plan, collective) - Runtime.getRuntime().maxMemory();
    };
  }
}
