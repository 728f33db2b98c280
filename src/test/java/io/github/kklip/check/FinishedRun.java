package io.github.kklip.check;

import io.github.kklip.concept.ConceptStage;
import io.github.kklip.config.Settings;
import io.github.kklip.embed.EmbedStage;
import io.github.kklip.export.HuggingFaceExport;
import io.github.kklip.ingest.IngestStage;
import io.github.kklip.ingest.sources.SyntheticClasses;
import io.github.kklip.teacher.RandomLlama;
import io.github.kklip.tokenize.TokenizerStage;
import io.github.kklip.train.TinyDataset;
import io.github.kklip.train.plan.TrainPlan;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;

/** What all stages leave, made by the stages themselves from 60 synthetic images. */
final class FinishedRun {
  private final Path folder;

  private FinishedRun(Path folder) {
    this.folder = folder;
  }

  static FinishedRun make(Path folder) throws Exception {
    FinishedRun made = new FinishedRun(folder);
    Settings settings = made.settings();
    Configuration configuration = new Configuration();
    RandomLlama.write(folder.resolve("llama"), 5, List.of("red", "green", "square"), 32, 1);
    SyntheticClasses.write(
        configuration, new org.apache.hadoop.fs.Path(folder.resolve("classes").toUri()), 1, 1);
    try (JavaSparkContext spark =
        new JavaSparkContext(
            new SparkConf()
                .setMaster("local[2]")
                .setAppName("check")
                .set("spark.ui.enabled", "false")
                .set("spark.driver.bindAddress", "127.0.0.1")
                .set("spark.driver.host", "127.0.0.1"))) {
      IngestStage.run(spark, settings);
      TokenizerStage.run(spark, settings);
      EmbedStage.run(spark, settings);
      ConceptStage.run(spark, settings);
    }
    TinyDataset.train(TrainPlan.of(settings, configuration), 1);
    HuggingFaceExport.run(made.settings("export.path=" + folder.resolve("clip")), configuration);
    return made;
  }

  Path path(String name) {
    return folder.resolve(name);
  }

  /** The settings that it was made with, and some others. */
  Settings settings(String... others) {
    return settingsAt(folder.toString(), others);
  }

  /** The same under another scheme. */
  Settings settingsAt(String root, String... others) {
    List<String> all =
        new ArrayList<>(
            List.of(
                "dataset=" + root + "/dataset",
                "ingest.sources=[{format = synthetic, pairs = 60}]",
                "ingest.shard-rows=32",
                "ingest.validation-fraction=0.3",
                "tokenizer.vocab-size=600",
                "teacher.path=" + root + "/llama",
                "teacher.max-length=64",
                "concepts.k=4",
                "concepts.target-perplexity=2",
                "concepts.iterations=3",
                "student.config=tiny",
                "train.output=" + root + "/run",
                "train.batch=8",
                "train.steps=2",
                "evaluate.zero-shot=[{name = shapes, path = \"" + root + "/classes\"}]"));
    all.addAll(Arrays.asList(others));
    return Settings.load(List.of(), all);
  }

  /** A copy of one of its folders, to be damaged. */
  Path copy(String name, Path target) throws Exception {
    try (var files = Files.walk(folder.resolve(name))) {
      for (Path file : files.toList()) {
        Files.copy(file, target.resolve(folder.resolve(name).relativize(file).toString()));
      }
    }
    return target;
  }
}
