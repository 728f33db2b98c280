package io.github.kklip.jobs;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.kklip.launch.StandaloneCluster;
import io.github.kklip.teacher.RandomLlama;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The whole pipeline through spark-submit on a standalone master with two workers: Spark's own jars
 * on the class path of driver and executors, and of KKLIP only the two jars that a cluster gets.
 */
class SubmitIT {
  @TempDir private Path folder;

  @Test
  void runsThePipelineFromTheTwoJars() throws Exception {
    RandomLlama.write(folder.resolve("llama"), 1, List.of("red", "circle"), 64, 1);
    Path result = folder.resolve("result.json");
    try (StandaloneCluster cluster = new StandaloneCluster(folder, 2, 1, 1024)) {
      List<String> words = new ArrayList<>(List.of("run", "--result", result.toString()));
      for (String assignment :
          List.of(
              "dataset=" + folder.resolve("dataset"),
              "ingest.sources=[{format=synthetic, pairs=200}]",
              "ingest.shard-rows=128",
              "ingest.validation-fraction=0.2",
              "tokenizer.vocab-size=600",
              "teacher.path=" + folder.resolve("llama"),
              "concepts.k=8",
              "student.config=tiny",
              "train.output=" + folder.resolve("run"),
              "train.ranks=2",
              "train.batch=16",
              "train.steps=6",
              "train.log-every-steps=2")) {
        words.addAll(List.of("--set", assignment));
      }
      new Submission(cluster.url(), List.of("kklip-libtorch-cpu-"), Map.of()).run(folder, words);
    }
    JsonNode stages = new ObjectMapper().readTree(result.toFile()).get("stages");
    JsonNode ingest = stages.get("ingest");
    assertThat(ingest.get("input").asLong())
        .isEqualTo(ingest.get("pairs").asLong() + ingest.get("rejects").asLong());
    assertThat(stages.get("embed").get("captions").asLong())
        .isEqualTo(ingest.get("pairs").asLong());
    assertThat(stages.get("train").get("steps").asInt()).isEqualTo(6);
    assertThat(stages.get("train").get("losses").get("contrastive").asDouble())
        .isBetween(1.0, 2 * Math.log(16));
    assertThat(Path.of(folder.toString(), "run", "huggingface", "model.safetensors"))
        .isNotEmptyFile();
  }
}
