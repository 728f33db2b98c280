package io.github.kklip.launch;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.kklip.train.checkpoint.CheckpointStore;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Jobs as processes, as a person starts them, on a standalone cluster of two workers. */
@Tag("slow")
class DriverFaultsIT {
  private static final int STEPS = 160;

  @TempDir private Path folder;

  private Process job(StandaloneCluster cluster, String job, String output, String... more)
      throws IOException {
    List<String> command = StandaloneCluster.java("-Xmx512m", "io.github.kklip.jobs.Main", job);
    command.addAll(
        List.of(
            "--master",
            cluster.url(),
            "--spark",
            "spark.executor.memory=768m",
            "--result",
            folder.resolve(output + ".json").toString()));
    List<String> assignments =
        new ArrayList<>(
            List.of(
                "dataset=" + folder.resolve("dataset"),
                "ingest.sources=[{format=synthetic, pairs=200}]",
                "tokenizer.vocab-size=600",
                "student.config=tiny",
                "train.output=" + folder.resolve(output),
                "train.ranks=2",
                "train.batch=16",
                "train.steps=" + STEPS,
                "train.loss.emb=0",
                "train.loss.concept=0",
                "train.checkpoint.every-steps=5",
                "train.restarts=0",
                "train.rendezvous-timeout=3 minutes",
                "train.heartbeat-timeout=10s"));
    assignments.addAll(List.of(more));
    for (String assignment : assignments) {
      command.addAll(List.of("--set", assignment));
    }
    return new ProcessBuilder(command)
        .redirectErrorStream(true)
        .redirectOutput(ProcessBuilder.Redirect.appendTo(log(output).toFile()))
        .start();
  }

  private Path log(String output) {
    return folder.resolve(output + ".log");
  }

  private int end(Process process) throws Exception {
    try {
      assertThat(process.waitFor(5, TimeUnit.MINUTES)).isTrue();
      return process.exitValue();
    } finally {
      process.destroyForcibly();
    }
  }

  private void succeed(Process process, String output) throws Exception {
    int status = end(process);
    assertThat(status).as(Files.readString(log(output))).isZero();
  }

  private JsonNode result(String output) throws IOException {
    return new ObjectMapper().readTree(folder.resolve(output + ".json").toFile());
  }

  private void awaitCheckpoint(String output) throws Exception {
    try (var watch = folder.getFileSystem().newWatchService()) {
      long end = System.nanoTime() + TimeUnit.MINUTES.toNanos(2);
      while (CheckpointStore.newestStep(folder.resolve(output).toString(), new Configuration())
          < 0) {
        assertThat(System.nanoTime()).as(() -> text(log(output))).isLessThan(end);
        var unused = watch.poll(100, TimeUnit.MILLISECONDS);
      }
    }
  }

  private static String text(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      return e.toString();
    }
  }

  private byte[] weights(String output) throws IOException {
    try (Stream<Path> files = Files.walk(folder.resolve(output))) {
      Path newest =
          files
              .filter(file -> file.getFileName().toString().equals("model.safetensors"))
              .sorted()
              .reduce((a, b) -> b)
              .orElseThrow();
      return Files.readAllBytes(newest);
    }
  }

  @Test
  void theSameCommandGoesOnAndALostMachineIsGivenUp() throws Exception {
    try (StandaloneCluster cluster = new StandaloneCluster(folder, 2, 1, 1024)) {
      succeed(job(cluster, "ingest", "data"), "data");
      succeed(job(cluster, "tokenizer", "data"), "data");
      succeed(job(cluster, "train", "straight"), "straight");

      Process killed = job(cluster, "train", "killed");
      awaitCheckpoint("killed");
      killed.destroyForcibly().waitFor();
      assertThat(folder.resolve("killed.json")).doesNotExist();
      succeed(job(cluster, "train", "killed"), "killed");
      assertThat(result("killed").get("first_step").asLong()).isPositive();
      assertThat(result("killed").get("steps").asLong()).isEqualTo(STEPS);
      assertThat(weights("killed")).isEqualTo(weights("straight"));

      Process lost =
          job(cluster, "train", "lost", "train.steps=100000", "train.rendezvous-timeout=60s");
      awaitCheckpoint("lost");
      cluster.loseMachine(1);
      assertThat(end(lost)).isEqualTo(1);
      assertThat(result("lost").get("error").asText())
          .contains(
              "Cannot start 2 ranks because the cluster has room for 1 after"
                  + " train.rendezvous-timeout = 60 s: 1 executors with [1] cores, one rank each.")
          .contains("train.ranks lower");
    }
  }
}
