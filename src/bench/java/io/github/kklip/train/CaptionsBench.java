package io.github.kklip.train;

import io.github.kklip.config.Settings;
import io.github.kklip.ingest.IngestResult;
import io.github.kklip.ingest.IngestStage;
import io.github.kklip.store.publication.Json;
import io.github.kklip.text.StudentTokenizer;
import io.github.kklip.tokenize.TokenizerStage;
import io.github.kklip.train.data.Batch;
import io.github.kklip.train.data.PairLoader;
import io.github.kklip.train.data.TrainImages;
import io.github.kklip.train.plan.SampleOrder;
import io.github.kklip.train.plan.TrainPlan;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;

/**
 * Size, ingest and loading of a source whose images have several captions: one round, so that two
 * versions can be measured in turn.
 *
 * <pre>
 * CaptionsBench FOLDER SETTING...    such as ingest.sources=[{format=webdataset, path=..., caption-column=captions}]
 * </pre>
 */
public final class CaptionsBench {
  private static final int THREADS = 2;

  private CaptionsBench() {}

  public static void main(String[] arguments) throws Exception {
    Path folder = Files.createTempDirectory(Path.of(arguments[0]), "kklip-captions-");
    try {
      List<String> all =
          new ArrayList<>(
              List.of(
                  "dataset=" + folder.resolve("dataset"),
                  "tokenizer.vocab-size=1000",
                  "train.output=" + folder.resolve("run"),
                  "train.loss.emb=0",
                  "train.loss.concept=0",
                  "train.batch=64",
                  "student.config=tiny"));
      all.addAll(List.of(arguments).subList(1, arguments.length));
      Settings settings = Settings.load(List.of(), all);
      Map<String, Object> result = new LinkedHashMap<>();
      try (JavaSparkContext spark = spark(folder)) {
        long start = System.nanoTime();
        IngestResult ingested = IngestStage.run(spark, settings);
        result.put("pairs", ingested.pairs());
        result.put("pairs_per_s", ingested.pairs() / seconds(start));
        TokenizerStage.run(spark, settings);
      }
      result.put("bytes_on_disk", size(folder.resolve("dataset").resolve("pairs")));
      load(settings, result);
      System.out.println("RESULT " + Json.line(result));
    } finally {
      try (Stream<Path> files = Files.walk(folder)) {
        for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
          Files.delete(file);
        }
      }
    }
  }

  private static JavaSparkContext spark(Path folder) {
    return new JavaSparkContext(
        new SparkConf()
            .setMaster("local[" + THREADS + "]")
            .setAppName("captions bench")
            .set("spark.ui.enabled", "false")
            .set("spark.local.dir", folder.resolve("spark").toString())
            .set("spark.driver.host", "127.0.0.1")
            .set("spark.driver.bindAddress", "127.0.0.1"));
  }

  private static double seconds(long start) {
    return (System.nanoTime() - start) * 1e-9;
  }

  private static long size(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.mapToLong(file -> file.toFile().length()).sum();
    }
  }

  /** One epoch. */
  private static void load(Settings settings, Map<String, Object> result) throws IOException {
    Configuration configuration = new Configuration();
    TrainPlan plan = TrainPlan.of(settings, configuration);
    SampleOrder order = plan.order(plan.shards());
    long steps = order.stepsPerEpoch();
    long before = bytesRead();
    long start = System.nanoTime();
    try (StudentTokenizer tokenizer = StudentTokenizer.load(plan.tokenizer(), configuration);
        PairLoader loader =
            new PairLoader(
                plan,
                configuration,
                plan.shards(),
                order,
                0,
                order.batch(),
                0,
                steps,
                tokenizer,
                new TrainImages(plan),
                new PairLoader.Options(THREADS, 256L << 20, Duration.ofMinutes(5)))) {
      for (long step = 0; step < steps; step++) {
        Batch batch = loader.next();
        loader.recycle(batch);
      }
    }
    result.put("rows_per_s", steps * order.batch() / seconds(start));
    result.put("bytes_read_of_an_epoch", bytesRead() - before);
  }

  private static long bytesRead() {
    return FileSystem.getGlobalStorageStatistics().get("file").getLong("bytesRead");
  }
}
