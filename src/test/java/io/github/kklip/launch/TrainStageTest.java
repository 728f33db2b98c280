package io.github.kklip.launch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.ingest.IngestStage;
import io.github.kklip.tokenize.TokenizerStage;
import io.github.kklip.train.MemoryEstimate;
import io.github.kklip.train.TrainResult;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** One rank in the driver's own process; TrainStageFaultsIT has real ones. */
class TrainStageTest {
  @TempDir private Path folder;

  private Settings settings(String... more) {
    List<String> assignments =
        new ArrayList<>(
            List.of(
                "dataset=" + folder.resolve("dataset"),
                "ingest.sources=[{format=synthetic, pairs=80}]",
                "tokenizer.vocab-size=600",
                "student.config=tiny",
                "train.output=" + folder.resolve("run"),
                "train.batch=8",
                "train.steps=4",
                "train.loss.emb=0",
                "train.loss.concept=0"));
    assignments.addAll(List.of(more));
    return Settings.load(List.of(), assignments);
  }

  @Test
  void goesOnFromItsCheckpointAndRefusesOtherSettings() throws Exception {
    SparkConf conf =
        new SparkConf()
            .setAppName("kklip test")
            .setMaster("local[2]")
            .set("spark.driver.host", "127.0.0.1")
            .set("spark.ui.enabled", "false");
    try (JavaSparkContext spark = new JavaSparkContext(conf)) {
      IngestStage.run(spark, settings());
      TokenizerStage.run(spark, settings());
      TrainResult result = TrainStage.run(spark, settings(), new CompletableFuture<>());
      assertThat(result.complete()).isTrue();
      assertThat(result.firstStep()).isZero();
      assertThat(result.last().step()).isEqualTo(4);
      assertThat(result.last().loss()).isFinite();
      assertThat(result.checkpoint()).contains("run");

      TrainResult again = TrainStage.run(spark, settings(), new CompletableFuture<>());
      assertThat(again.firstStep()).isEqualTo(4);
      assertThat(again.checkpoint()).isEqualTo(result.checkpoint());
      assertThat(again.last()).isEqualTo(result.last());

      assertThatThrownBy(
              () -> TrainStage.run(spark, settings("train.lr=0.1"), new CompletableFuture<>()))
          .hasMessageContaining("train.lr was 5.0E-5 and is now 0.1");
    }
  }

  @Test
  void tooLittleMemoryIsRefusedWithWhatIsNeeded() {
    MemoryEstimate estimate =
        new MemoryEstimate(
            new TreeMap<>(
                Map.of(
                    "activations",
                    600L << 20,
                    "prefetch",
                    256L << 20,
                    "pixels of a step",
                    44L << 20,
                    "transport",
                    0L)));
    SparkConf conf =
        new SparkConf(false).setMaster("k8s://https://host").set("spark.executor.memory", "4g");
    assertThatThrownBy(() -> TrainStage.checkMemory(conf, estimate))
        .isInstanceOf(SettingsException.class)
        .hasMessage(
            "Cannot train with spark.executor.memoryOverhead = 409 MiB because a rank takes about"
                + " 1220 MiB outside of the heap: libtorch 320, training 900 MiB"
                + " (activations 600, pixels of a step 44, prefetch 256)."
                + " Set spark.executor.memoryOverhead to that, or train.micro-batch lower.");
    TrainStage.checkMemory(conf.clone().set("spark.executor.memoryOverhead", "1220m"), estimate);
    TrainStage.checkMemory(conf.clone().setMaster("spark://host:7077"), estimate);
    assertThatThrownBy(
            () ->
                TrainStage.checkMemory(
                    conf.clone()
                        .set("spark.executor.memoryOverhead", "2g")
                        .set("spark.executor.memory", "400m"),
                    estimate))
        .hasMessageContaining("at least 512 MiB of heap");
    SparkConf small =
        new SparkConf(false).setMaster("spark://host:7077").set("spark.executor.memory", "300m");
    assertThatThrownBy(() -> TrainStage.checkMemory(small, estimate))
        .isInstanceOf(SettingsException.class)
        .hasMessageStartingWith(
            "Cannot train with spark.executor.memory = 300 MiB because a JVM has no more direct"
                + " memory than heap, and a rank and Spark take about 364 MiB of it.");
    TrainStage.checkMemory(
        small.clone().set("spark.executor.extraJavaOptions", "-XX:MaxDirectMemorySize=1g"),
        estimate);
    TrainStage.checkMemory(small.clone().setMaster("local[1]"), estimate);
  }
}
