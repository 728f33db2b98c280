package io.github.kklip.launch;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.concept.ConceptStage;
import io.github.kklip.config.Settings;
import io.github.kklip.embed.EmbedStage;
import io.github.kklip.eval.Evaluation;
import io.github.kklip.export.HuggingFaceExport;
import io.github.kklip.ingest.IngestStage;
import io.github.kklip.ingest.sources.SyntheticClasses;
import io.github.kklip.progress.ToldProgress;
import io.github.kklip.teacher.RandomLlama;
import io.github.kklip.tokenize.TokenizerStage;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Every stage of a run tells its beginning, counts, and its end. */
class StagesTellTest {
  @TempDir private Path folder;

  private Settings settings() {
    return Settings.load(
        List.of(),
        List.of(
            "dataset=" + folder.resolve("dataset"),
            "ingest.sources=[{format=synthetic, pairs=80}]",
            "ingest.validation-fraction=0.2",
            "tokenizer.vocab-size=530",
            "teacher.path=" + folder.resolve("llama"),
            "concepts.k=4",
            "concepts.target-perplexity=2",
            "concepts.iterations=3",
            "concepts.tolerance=0",
            "student.config=tiny",
            "train.output=" + folder.resolve("run"),
            "train.batch=8",
            "train.steps=4",
            "train.log-every-steps=2",
            "evaluate.zero-shot=[{name=shapes, path=\"" + folder.resolve("classes") + "\"}]"));
  }

  @Test
  void everyStageTellsItsBeginningCountsAndEnd() throws Exception {
    RandomLlama.write(folder.resolve("llama"), 5, List.of("red", "green", "square"), 32, 2);
    SyntheticClasses.write(
        new Configuration(),
        new org.apache.hadoop.fs.Path(folder.resolve("classes").toString()),
        3,
        1);
    SparkConf conf =
        new SparkConf()
            .setAppName("kklip test")
            .setMaster("local[1]")
            .set("spark.driver.host", "127.0.0.1")
            .set("spark.ui.enabled", "false");
    try (ToldProgress told = new ToldProgress();
        JavaSparkContext spark = new JavaSparkContext(conf)) {
      IngestStage.run(spark, settings());
      TokenizerStage.run(spark, settings());
      EmbedStage.run(spark, settings());
      ConceptStage.run(spark, settings());
      TrainStage.run(spark, settings(), new CompletableFuture<>());
      Evaluation.run(settings(), new Configuration());
      HuggingFaceExport.run(settings(), new Configuration());
      // How many passes the rows take is the matter of k-means.
      assertThat(told.all().stream().map(line -> line.replaceAll("(passes: done) .*", "$1")))
          .containsExactly(
              "ingest, units: begin",
              "ingest, units: count",
              "ingest, units: done 1 of 1",
              "ingest, shards: begin",
              "ingest, shards: count",
              "ingest, shards: done 2 of 2",
              "tokenizer, captions: begin",
              "tokenizer, captions: count",
              "tokenizer, captions: done 134 of 134",
              "tokenizer, merges: begin",
              "tokenizer, merges: count",
              "tokenizer, merges: done 16 of 16",
              "embed, captions: begin",
              "embed, captions: count",
              "embed, captions: done 160 of 160",
              "cluster: start, passes: begin",
              "cluster: start, passes: count",
              "cluster: start, passes: done",
              "cluster: k-means, iterations: begin",
              "cluster: k-means, iterations: count",
              "cluster: k-means, iterations: done 3 of 3",
              "cluster: soft labels, passes: begin",
              "cluster: soft labels, passes: count",
              "cluster: soft labels, passes: done",
              "cluster, labels: begin",
              "cluster, labels: count",
              "cluster, labels: done 160 of 160",
              "train, steps: begin",
              "train, steps: count",
              "train, steps: done 4 of 4",
              "evaluate, pairs: begin",
              "evaluate, pairs: count",
              "evaluate, pairs: done 26 of 26",
              "evaluate, captions: begin",
              "evaluate, captions: count",
              "evaluate, captions: done 26 of 26",
              "evaluate: shapes, images: begin",
              "evaluate: shapes, images: count",
              "evaluate: shapes, images: done 64 of 64",
              "export, files: begin",
              "export, files: count",
              "export, files: done 10 of 10");
    }
  }
}
