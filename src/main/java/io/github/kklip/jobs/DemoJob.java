package io.github.kklip.jobs;

import io.github.kklip.config.Settings;
import io.github.kklip.eval.Comparison;
import io.github.kklip.eval.Evaluation;
import io.github.kklip.eval.EvaluationResult;
import io.github.kklip.eval.History;
import io.github.kklip.ingest.sources.SyntheticClasses;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.teacher.RandomLlama;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.spark.sql.Encoders;

/**
 * The whole pipeline on a synthetic world: trains plain CLIP and KKLIP with the same budget and
 * compares them. {@code conf/demo.conf} holds its settings. The teacher is a tiny Llama with seeded
 * random weights, not a trained one.
 */
final class DemoJob implements Job<DemoSummary> {
  private static final String CLIP = "clip";
  private static final String KKLIP = "kklip";

  /** What each trained model has that the settings have not. */
  private static final Map<String, List<String>> VARIANTS = new LinkedHashMap<>();

  static {
    VARIANTS.put(CLIP, List.of("train.loss.emb=0", "train.loss.concept=0"));
    VARIANTS.put(KKLIP, List.of());
  }

  private static final int TEACHER_HIDDEN = 128;
  private static final int TEACHER_LAYERS = 2;
  private static final int CLASS_PICTURES = 4;
  private static final String TEMPLATES =
      "[\"a photo of a {}\", \"a {} on a white background\", \"there is a {}\"]";

  @Override
  public String purpose() {
    return "Runs all stages twice on a synthetic world, as plain CLIP and as KKLIP, and compares.";
  }

  @Override
  public List<String> settings() {
    return List.of("");
  }

  @Override
  public DemoSummary run(JobContext context) throws Exception {
    Settings settings = context.settings();
    String classes = Settings.required(settings.dataset(), "dataset") + "-classes";
    Path teacher = Path.of(Settings.required(settings.teacher().path(), "teacher.path"));
    String report = Settings.required(settings.evaluate().report(), "evaluate.report");
    StageResults results = new StageResults();
    StopSignal stop = context.stop();
    results.run(
        "ingest",
        stop,
        () -> {
          writeClasses(context, classes);
          return new IngestJob().run(context);
        });
    results.run("tokenizer", stop, () -> new TokenizerJob().run(context));
    results.run(
        "embed",
        stop,
        () -> {
          writeTeacher(context, teacher);
          return new EmbedJob().run(context);
        });
    results.run("cluster", stop, () -> new ClusterJob().run(context));
    Map<String, EvaluationResult> evaluations = new LinkedHashMap<>();
    Map<String, History> histories = new LinkedHashMap<>();
    for (String name : VARIANTS.keySet()) {
      List<String> assignments = assignments(settings, name);
      assignments.add(
          "evaluate.zero-shot=[{ name = shapes, path = \""
              + classes
              + "\", templates = "
              + TEMPLATES
              + " }]");
      JobContext run = context.with(assignments);
      results.run(name + "/train", stop, () -> new TrainJob().run(run));
      results.run(
          name + "/evaluate",
          stop,
          () -> {
            EvaluationResult evaluation = Evaluation.run(run.settings(), run.hadoop());
            evaluations.put(name, evaluation);
            histories.put(name, History.read(run.settings().train().output(), run.hadoop()));
            return evaluation.summary();
          });
      results.run(name + "/export", stop, () -> new ExportJob().run(run));
    }
    String page = report + "/comparison.html";
    Comparison.write(
        context.hadoop(),
        new org.apache.hadoop.fs.Path(page),
        "Plain CLIP and KKLIP, trained on the same synthetic pairs for the same number of steps. The teacher is a"
            + " tiny Llama with random weights, not a trained one.",
        evaluations,
        histories);
    System.err.println();
    System.err.println(Comparison.table(evaluations));
    System.err.println("The teacher is a tiny Llama with random weights, not a trained one.");
    System.err.println("Report: " + page);
    return new DemoSummary(evaluations.get(CLIP).summary(), evaluations.get(KKLIP).summary(), page);
  }

  /** The settings of each of the two trainings. */
  static List<Settings> variants(JobContext context) {
    return VARIANTS.keySet().stream()
        .map(name -> context.settingsWith(assignments(context.settings(), name)))
        .toList();
  }

  private static List<String> assignments(Settings settings, String name) {
    List<String> assignments = new ArrayList<>(VARIANTS.get(name));
    assignments.add("train.output=" + within(settings.train().output(), name));
    assignments.add("evaluate.report=" + within(settings.evaluate().report(), name));
    return assignments;
  }

  /** What is not set stays so, and is found missing. */
  private static String within(String folder, String name) {
    return folder.isEmpty() ? "" : folder + "/" + name;
  }

  private static void writeClasses(JobContext context, String folder) throws IOException {
    SyntheticClasses.write(
        context.hadoop(),
        new org.apache.hadoop.fs.Path(folder),
        context.settings().seed(),
        CLASS_PICTURES);
  }

  /** Equal captions give the equal teacher, so one that is there is the right one. */
  private static void writeTeacher(JobContext context, Path folder) throws IOException {
    if (Files.exists(folder.resolve("config.json"))) {
      return;
    }
    Set<String> words = new TreeSet<>();
    DatasetFolder dataset = new DatasetFolder(context.settings().dataset(), context.hadoop());
    String[] pairs =
        dataset.requireManifest().shards().stream()
            .map(shard -> dataset.pairs(shard).toString())
            .toArray(String[]::new);
    for (String caption :
        context
            .spark()
            .read()
            .parquet(pairs)
            .select("caption")
            .as(Encoders.STRING())
            .collectAsList()) {
      words.addAll(Arrays.asList(caption.toLowerCase(Locale.ROOT).split("[^\\p{L}-]+")));
    }
    words.remove("");
    RandomLlama.write(folder, context.settings().seed(), words, TEACHER_HIDDEN, TEACHER_LAYERS);
  }
}
