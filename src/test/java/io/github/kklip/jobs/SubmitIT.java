package io.github.kklip.jobs;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.kklip.cluster.StandaloneCluster;
import io.github.kklip.teacher.RandomLlama;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The whole pipeline through spark-submit on a standalone master with two workers: Spark's own jars
 * on the class path of driver and executors, and of KKLIP only the two jars that a cluster gets.
 */
class SubmitIT {
  /** What {@code kklip-*.jar} brings, so that Spark's class path is without it. */
  private static final List<String> BUNDLED =
      List.of(
          "/ai/djl/", "/com/typesafe/config/", "/com/twelvemonkeys/", "/commons-csv/", "/target/");

  @TempDir private Path folder;

  @Test
  void runsThePipelineFromTheTwoJars() throws Exception {
    RandomLlama.write(folder.resolve("llama"), 1, List.of("red", "circle"), 64, 1);
    Path result = folder.resolve("result.json");
    try (StandaloneCluster cluster = new StandaloneCluster(folder, 2, 1, 1024)) {
      List<String> command = sparkSubmit(cluster.url());
      command.addAll(List.of("run", "--result", result.toString()));
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
        command.addAll(List.of("--set", assignment));
      }
      Path log = folder.resolve("driver.log");
      Process driver =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(log.toFile())
              .start();
      try {
        assertThat(driver.waitFor(6, TimeUnit.MINUTES)).isTrue();
      } finally {
        driver.destroyForcibly();
      }
      assertThat(driver.exitValue()).as(() -> read(log)).isZero();
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

  private static List<String> sparkSubmit(String master) throws Exception {
    String spark =
        Stream.of(System.getProperty("java.class.path").split(File.pathSeparator))
            .filter(entry -> BUNDLED.stream().noneMatch(entry::contains))
            .collect(Collectors.joining(File.pathSeparator));
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("@" + Path.of("conf", "jvm.options").toAbsolutePath());
    command.addAll(List.of("-Xmx1g", "-cp", spark, "org.apache.spark.deploy.SparkSubmit"));
    command.addAll(List.of("--master", master, "--class", "io.github.kklip.jobs.Main"));
    for (Map.Entry<String, String> setting :
        Map.of(
                "spark.executor.extraClassPath", spark,
                "spark.executor.memory", "768m",
                "spark.driver.host", "127.0.0.1",
                "spark.driver.bindAddress", "127.0.0.1",
                "spark.ui.enabled", "false")
            .entrySet()) {
      command.addAll(List.of("--conf", setting.getKey() + "=" + setting.getValue()));
    }
    command.addAll(List.of("--jars", jar("kklip-libtorch-cpu-"), jar("kklip-0")));
    return command;
  }

  private static String jar(String prefix) {
    File[] found =
        new File("target")
            .listFiles((dir, name) -> name.startsWith(prefix) && name.endsWith(".jar"));
    assertThat(found).as("target/" + prefix + "*.jar of the package phase").hasSize(1);
    return Arrays.asList(found).get(0).getAbsolutePath();
  }

  private static String read(Path log) {
    try {
      return Files.readString(log);
    } catch (java.io.IOException e) {
      return e.toString();
    }
  }
}
