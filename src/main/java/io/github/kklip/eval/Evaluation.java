package io.github.kklip.eval;

import io.github.kklip.config.EvaluateSettings;
import io.github.kklip.config.Settings;
import io.github.kklip.eval.EvaluationResult.Classification;
import io.github.kklip.eval.EvaluationResult.Direction;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.Split;
import io.github.kklip.store.publication.Json;
import io.github.kklip.store.publication.Storage;
import io.github.kklip.text.StudentTokenizer;
import java.io.IOException;
import java.util.Arrays;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.ToLongFunction;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Evaluates a model on the test or validation split of a dataset: retrieval in both directions,
 * zero-shot classification, {@code report.json} and {@code report.html}.
 */
public final class Evaluation {
  private static final Logger LOG = LoggerFactory.getLogger(Evaluation.class);

  private final Settings settings;
  private final Configuration configuration;
  private final DatasetFolder dataset;

  private Evaluation(Settings settings, Configuration configuration) {
    this.settings = settings;
    this.configuration = configuration;
    this.dataset =
        new DatasetFolder(Settings.required(settings.dataset(), "dataset"), configuration);
  }

  /**
   * Evaluates the model of {@code evaluate.model}, or of {@code train.output} when that is empty.
   *
   * @throws IOException when the model, its tokenizer or the dataset cannot be read
   */
  public static EvaluationResult run(Settings settings, Configuration configuration)
      throws IOException {
    return new Evaluation(settings, configuration).run();
  }

  private EvaluationResult run() throws IOException {
    String model = model(settings);
    Path report = reportFolder(model);
    try (ModelSource source = ModelSource.open(model, configuration);
        StudentTokenizer tokenizer = tokenizer(source);
        Embedder embedder =
            new Embedder(
                source.folder(), tokenizer, settings.evaluate().batch(), settings.threads())) {
      LOG.info("Evaluating {} on {}", source.location(), dataset.root());
      EvaluatedSplit split = EvaluatedSplit.embed(dataset, settings.evaluate(), embedder);
      int[] imageRanks = Retrieval.imageRanks(split.texts(), split.images(), split.imageOf());
      int[] captionRanks = Retrieval.captionRanks(split.texts(), split.images(), split.imageOf());
      EvaluationResult result =
          new EvaluationResult(
              source.location(),
              dataset.root().toString(),
              split.split(),
              split.imageIds().size(),
              split.captions().size(),
              split.skipped(),
              textToImage(split, imageRanks),
              imageToText(split, captionRanks),
              zeroShot(embedder),
              new Path(report, "report.html").toString());
      Json.write(configuration, new Path(report, "report.json"), result);
      History history = History.read(model, configuration);
      Examples examples =
          Examples.of(split, imageRanks, captionRanks, settings.evaluate().examples(), dataset);
      ReportPage.write(
          configuration, new Path(result.report()), result, history, conceptSizes(), examples);
      return result;
    }
  }

  /** What is evaluated. */
  private static String model(Settings settings) {
    String model = settings.evaluate().model();
    return model.isEmpty() ? Settings.required(settings.train().output(), "evaluate.model") : model;
  }

  /**
   * Refuses a model that cannot be evaluated, without reading its weights.
   *
   * @throws IOException when it is not there or lacks files
   * @throws io.github.kklip.text.TokenizerException when there is no tokenizer for it
   */
  public static void checkModel(Settings settings, Configuration configuration) throws IOException {
    if (!ModelSource.check(model(settings), configuration) && !settings.dataset().isEmpty()) {
      tokenizer(settings, new DatasetFolder(settings.dataset(), configuration)).close();
    }
  }

  /**
   * Refuses a zero-shot task whose folder has no classes.
   *
   * @throws IOException when there is no such folder, or it has no class folders
   */
  public static void checkZeroShot(
      EvaluateSettings.ZeroShotSettings task, Configuration configuration) throws IOException {
    var unused = ZeroShot.folders(task, configuration);
  }

  /** Refuses a dataset that has nothing to evaluate on. */
  public static void requirePairs(
      DatasetFolder folder, EvaluateSettings.EvaluateSplit set, ToLongFunction<Split> rows) {
    Split split = EvaluatedSplit.of(set, () -> rows.applyAsLong(Split.TEST));
    EvaluatedSplit.require(folder, split, rows.applyAsLong(split));
  }

  private Path reportFolder(String model) {
    String set = settings.evaluate().report();
    return set.isEmpty()
        ? new Path(Storage.path(model, configuration), "evaluation")
        : Storage.path(set, configuration);
  }

  /** The tokenizer beside the weights; else the one of the settings; else that of the dataset. */
  private StudentTokenizer tokenizer(ModelSource source) throws IOException {
    if (StudentTokenizer.isIn(source.folder().toString(), new Configuration(false))) {
      return StudentTokenizer.load(source.folder());
    }
    return tokenizer(settings, dataset);
  }

  private static StudentTokenizer tokenizer(Settings settings, DatasetFolder dataset)
      throws IOException {
    String set = settings.student().tokenizer();
    return StudentTokenizer.load(
        set.isEmpty() ? dataset.requireTokenizer(dataset.requireManifest()).toString() : set,
        dataset.configuration());
  }

  private static Direction textToImage(EvaluatedSplit split, int[] ranks) {
    int[] oneEach = new int[ranks.length];
    Arrays.fill(oneEach, 1);
    return direction(ranks, oneEach, split.imageIds().size());
  }

  private static Direction imageToText(EvaluatedSplit split, int[] ranks) {
    return direction(ranks, split.captionsOfEach(), split.captions().size());
  }

  private static Direction direction(int[] ranks, int[] hits, int answers) {
    return new Direction(
        Recall.of(ranks), Recall.chance(hits, answers), ranks.length, answers, 1 + median(ranks));
  }

  static double median(int[] ranks) {
    int[] sorted = ranks.clone();
    Arrays.sort(sorted);
    int middle = sorted.length / 2;
    return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2.0;
  }

  private SortedMap<String, Classification> zeroShot(Embedder embedder) throws IOException {
    SortedMap<String, Classification> figures = new TreeMap<>();
    for (EvaluateSettings.ZeroShotSettings task : settings.evaluate().zeroShot()) {
      figures.put(
          task.name(), ZeroShot.of(task, embedder, settings.evaluate().batch(), configuration));
    }
    return figures;
  }

  /** Training captions of each concept; empty where the dataset has no concepts. */
  private double[] conceptSizes() throws IOException {
    return dataset
        .readManifest()
        .map(manifest -> manifest.concepts().get(settings.concepts().name()))
        .map(manifest -> manifest.sizes().stream().mapToDouble(Long::doubleValue).toArray())
        .orElse(new double[0]);
  }
}
