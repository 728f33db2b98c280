package io.github.kklip.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withinPercentage;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MemoryEstimateTest {
  @TempDir private Path folder;

  /** A student of 12 million parameters whose text context the captions fill. */
  @ParameterizedTest
  @CsvSource({"48, 0, 4", "96, 16, 4", "32, 0, 200"})
  void theEstimateIsNearWhatAProcessTakes(int batch, int micro, int prefetch) throws Exception {
    Path student =
        Files.writeString(
            folder.resolve("student.json"),
            """
            {"model_type": "clip", "projection_dim": 192,
             "text_config": {"vocab_size": 555, "max_position_embeddings": 12, "hidden_size": 256,
               "intermediate_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 4,
               "bos_token_id": 553, "eos_token_id": 554, "pad_token_id": 554},
             "vision_config": {"image_size": 64, "patch_size": 8, "hidden_size": 256,
               "intermediate_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 4}}
            """);
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
                "student.config=" + student,
                "train.batch=" + batch,
                "train.micro-batch=" + micro,
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
}
