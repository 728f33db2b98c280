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
final class DemoJob implements Job {
  private static final int TEACHER_HIDDEN = 128;
  private static final int TEACHER_LAYERS = 2;
  private static final int CLASS_PICTURES = 4;
  private static final String TEMPLATES =
      "[\"a photo of a {}\", \"a {} on a white background\", \"there is a {}\"]";

  @Override
  public Map<String, Object> run(JobContext context) throws Exception {
    Settings settings = context.settings();
    String dataset = Settings.required(settings.dataset(), "dataset");
    RunJob.runStage("ingest", context);
    writeTeacher(context, Path.of(Settings.required(settings.teacher().path(), "teacher.path")));
    String classes = dataset + "-classes";
    SyntheticClasses.write(
        context.hadoop(), new org.apache.hadoop.fs.Path(classes), settings.seed(), CLASS_PICTURES);
    for (String stage : List.of("tokenizer", "embed", "cluster")) {
      RunJob.runStage(stage, context);
    }
    String runs = Settings.required(settings.train().output(), "train.output");
    String report = Settings.required(settings.evaluate().report(), "evaluate.report");
    Map<String, String[]> variants = new LinkedHashMap<>();
    variants.put("clip", new String[] {"train.loss.emb=0", "train.loss.concept=0"});
    variants.put("kklip", new String[0]);
    Map<String, EvaluationResult> results = new LinkedHashMap<>();
    Map<String, History> histories = new LinkedHashMap<>();
    for (Map.Entry<String, String[]> variant : variants.entrySet()) {
      String name = variant.getKey();
      String[] common = {
        "train.output=" + runs + "/" + name,
        "evaluate.report=" + report + "/" + name,
        "evaluate.zero-shot=[{ name = shapes, path = \""
            + classes
            + "\", templates = "
            + TEMPLATES
            + " }]"
      };
      JobContext run = context.with(concat(common, variant.getValue()));
      RunJob.runStage("train", run);
      results.put(name, Evaluation.run(run.settings(), run.hadoop()));
      histories.put(name, History.read(run.settings().train().output(), run.hadoop()));
      RunJob.runStage("export", run);
    }
    String page = report + "/comparison.html";
    Comparison.write(
        context.hadoop(),
        new org.apache.hadoop.fs.Path(page),
        "Plain CLIP and KKLIP, trained on the same synthetic pairs for the same number of steps. The teacher is a"
            + " tiny Llama with random weights, not a trained one.",
        results,
        histories);
    System.err.println();
    System.err.println(Comparison.table(results));
    System.err.println("The teacher is a tiny Llama with random weights, not a trained one.");
    System.err.println("Report: " + page);
    Map<String, Object> fields = new LinkedHashMap<>();
    results.forEach((name, result) -> fields.put(name, result.fields()));
    fields.put("report", page);
    return fields;
  }

  /** Equal captions give the equal teacher, so one that is there is the right one. */
  private static void writeTeacher(JobContext context, Path folder) throws IOException {
    if (Files.exists(folder.resolve("config.json"))) {
      return;
    }
    Set<String> words = new TreeSet<>();
    String pairs =
        new DatasetFolder(context.settings().dataset(), context.hadoop()).pairs().toString();
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

  private static String[] concat(String[] first, String[] second) {
    String[] all = Arrays.copyOf(first, first.length + second.length);
    System.arraycopy(second, 0, all, first.length, second.length);
    return all;
  }
}
