package io.github.kklip.launch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RankSlotsTest {
  @TempDir private Path folder;

  private static SparkConf conf(String key, String value) {
    return new SparkConf(false).setMaster("spark://host:7077").set(key, value);
  }

  @Test
  void whatCanNeverRunIsRefusedBeforeAnyExecutorIsAwaited() {
    assertThatThrownBy(
            () ->
                RankSlots.refuseWhatCannotWork(conf("spark.dynamicAllocation.enabled", "true"), 3))
        .isInstanceOf(SettingsException.class)
        .hasMessage(
            "Cannot train with spark.dynamicAllocation.enabled = true because all ranks must start"
                + " together. Set it to false and spark.executor.instances = 3.");
    assertThatThrownBy(
            () -> RankSlots.refuseWhatCannotWork(conf("spark.task.resource.gpu.amount", "0.25"), 3))
        .isInstanceOf(SettingsException.class)
        .hasMessage(
            "Cannot train with spark.task.resource.gpu.amount = 0.25 because several ranks would"
                + " share a GPU. Set it to 1.");
    assertThatThrownBy(
            () -> RankSlots.refuseWhatCannotWork(new SparkConf(false).setMaster("local[4]"), 2))
        .isInstanceOf(SettingsException.class)
        .hasMessageStartingWith("Cannot run 2 ranks with the master local[4] because")
        .hasMessageContaining("local-cluster[N,CORES,MB]");
    RankSlots.refuseWhatCannotWork(new SparkConf(false).setMaster("local-cluster[2,1,512]"), 2);
    RankSlots.refuseWhatCannotWork(conf("spark.task.resource.gpu.amount", "1"), 2);
  }

  /**
   * Executors have a GPU each, made up by the script that Spark finds them with, and no setting
   * gives one to a task: the ranks ask for theirs by a resource profile.
   */
  @Test
  void ranksAskForTheGpusOfTheExecutors() throws Exception {
    Path script =
        Files.writeString(
            folder.resolve("gpus.sh"),
            """
            #!/bin/sh
            number=0
            while ! mkdir "%s/gpu-$number" 2>/dev/null; do number=$((number + 1)); done
            echo "{\\"name\\": \\"gpu\\", \\"addresses\\": [\\"$number\\"]}"
            """
                .formatted(folder));
    Files.setPosixFilePermissions(script, PosixFilePermissions.fromString("rwx------"));
    Map<String, String> conf =
        Map.of(
            "spark.worker.resource.gpu.amount", "1",
            "spark.worker.resource.gpu.discoveryScript", script.toString(),
            "spark.executor.resource.gpu.amount", "1");
    try (JavaSparkContext spark = LocalCluster.open(2, 2, conf)) {
      assertThat(RankSlots.await(spark.sc(), 2, Duration.ofSeconds(60)))
          .isEqualTo(new RankSlots(2, 0, 1, "2 executors with 2 GPUs"));
      Settings settings =
          Settings.load(
              List.of(),
              List.of("train.ranks=2", "train.rendezvous-timeout=60s", "train.restarts=0"));
      List<String> devices =
          new BarrierLauncher(spark, settings)
              .run("test", line -> {}, () -> 0, (scope, c) -> scope.place().device());
      assertThat(devices).containsExactlyInAnyOrder("cuda:0", "cuda:1");
      assertThatThrownBy(() -> RankSlots.await(spark.sc(), 3, Duration.ofSeconds(1)))
          .hasMessageContaining(
              "Cannot start 3 ranks because the cluster has room for 2 after"
                  + " train.rendezvous-timeout = 1 s: 2 executors with 2 GPUs.");
    }
  }
}
