package io.github.kklip.jobs;

import static io.github.kklip.config.Message.message;

import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import com.typesafe.config.ConfigRenderOptions;
import io.github.kklip.concept.ConceptStage;
import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.embed.EmbedStage;
import io.github.kklip.eval.EvaluationSummary;
import io.github.kklip.export.HuggingFaceExport;
import io.github.kklip.ingest.CompactResult;
import io.github.kklip.ingest.IngestResult;
import io.github.kklip.tokenize.TokenizerStage;
import io.github.kklip.upkeep.RemoveResult;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/**
 * The jobs as methods, for notebooks and programs that have a Spark session:
 *
 * <pre>{@code
 * IngestResult result = Kklip.on(spark).conf("my.conf").set("seed", 7).ingest();
 * }</pre>
 *
 * <p>Each method of settings gives a new object and leaves this one as it was. A job leaves the
 * session open. It throws a {@link SettingsException} when settings or data cannot be used, another
 * {@link RuntimeException} or an {@link IOException} when it fails.
 */
public final class Kklip {
  private final SparkSession session;
  private final List<UserFile> files;
  private final List<String> assignments;

  /** Entries of {@code ingest.sources} beside those of the settings. */
  private final List<String> sources;

  private Kklip(
      SparkSession session, List<UserFile> files, List<String> assignments, List<String> sources) {
    this.session = session;
    this.files = List.copyOf(files);
    this.assignments = List.copyOf(assignments);
    this.sources = List.copyOf(sources);
  }

  /** The jobs in a session, with the default settings. */
  public static Kklip on(SparkSession session) {
    return new Kklip(session, List.of(), List.of(), List.of());
  }

  /**
   * With the settings of a HOCON file, which win over those of earlier files.
   *
   * @param file a path, or a URI of any file system that Hadoop knows
   */
  public Kklip conf(String file) {
    List<UserFile> more = new ArrayList<>(files);
    more.add(new UserFile(file));
    return new Kklip(session, more, assignments, sources);
  }

  /**
   * With one setting, which wins over files.
   *
   * @param key relative to {@code kklip.}, such as {@code train.ranks}
   * @param value a number, boolean or text; lists and objects as HOCON
   */
  public Kklip set(String key, Object value) {
    List<String> more = new ArrayList<>(assignments);
    more.add(key + "=" + value);
    return new Kklip(session, files, more, sources);
  }

  /** As {@link #source(String, Dataset, String)}, with columns of the usual names. */
  public Kklip source(String name, Dataset<Row> rows) {
    return source(name, rows, "");
  }

  /**
   * With rows as one more source of {@code ingest}, after those of the settings. Each {@code
   * ingest} reads all of them; those that the dataset has are rejects, {@code duplicate}.
   *
   * @param name of the temporary view that this makes in the session; the dataset's rows and
   *     rejects name it as their source
   * @param keys of the source, of the format {@code spark}, as in a settings file: {@code
   *     image-column = jpg, caption-column = texts}
   * @throws SettingsException when the name is none for a view, or the rows are another session's
   */
  public Kklip source(String name, Dataset<Row> rows, String keys) {
    if (!name.matches("[A-Za-z_][A-Za-z0-9_]*")) {
      throw new SettingsException(
          message(
              "Cannot name a source %s because it becomes the name of a view: take letters, digits and '_'.",
              name));
    }
    if (!rows.sparkSession().equals(session)) {
      throw new SettingsException(
          message(
              "Cannot read the source %s because its rows are of another Spark session: give that one to Kklip.on.",
              name));
    }
    rows.createOrReplaceTempView(name);
    List<String> more = new ArrayList<>(sources);
    more.add("{ format = spark, table = " + name + "\n" + keys + "\n}");
    return new Kklip(session, files, assignments, more);
  }

  /** Looks at driver and executors; what is wrong is in the record. */
  public DoctorSummary doctor() throws IOException {
    return run("doctor", new DoctorJob());
  }

  /** Reads raw pairs into the dataset. */
  public IngestResult ingest() throws IOException {
    return run("ingest", new IngestJob());
  }

  /** Trains the student's tokenizer. */
  public TokenizerStage.TokenizerResult tokenizer() throws IOException {
    return run("tokenizer", new TokenizerJob());
  }

  /** Embeds the captions with the teacher. */
  public EmbedStage.EmbedResult embed() throws IOException {
    return run("embed", new EmbedJob());
  }

  /** Clusters the embeddings into concepts. */
  public ConceptStage.ConceptResult cluster() throws IOException {
    return run("cluster", new ClusterJob());
  }

  /** Trains the student. */
  public TrainSummary train() throws IOException {
    return run("train", new TrainJob());
  }

  /** Evaluates the model. */
  public EvaluationSummary evaluate() throws IOException {
    return run("evaluate", new EvaluateJob());
  }

  /** Writes a Hugging Face folder. */
  public HuggingFaceExport.ExportResult export() throws IOException {
    return run("export", new ExportJob());
  }

  /** Makes full shards of small ones. */
  public CompactResult compact() throws IOException {
    return run("compact", new CompactJob());
  }

  /**
   * Takes rows out of the dataset.
   *
   * @param ids a file with ids of rows or of images, one a line
   */
  public RemoveResult remove(String ids) throws IOException {
    return run(
        new RemoveJob(), new Arguments("remove", files, assignments).withOption("--ids", ids));
  }

  /**
   * The files of a kind that the dataset is made of: {@code spark.read().parquet(...)} takes their
   * paths.
   *
   * @param kind such as {@code pairs/train} or {@code teachers/llama}
   */
  public FilesSummary files(String kind) throws IOException {
    return run(new FilesJob(), new Arguments("files", files, assignments).withWords(List.of(kind)));
  }

  /** Runs all stages that the settings need. */
  public RunSummary run() throws IOException {
    return run("run", new RunJob());
  }

  private <R extends Record> R run(String name, Job<R> job) throws IOException {
    return run(job, new Arguments(name, files, withSources()));
  }

  /** The assignments, with all sources in one that wins. */
  private List<String> withSources() {
    if (sources.isEmpty()) {
      return assignments;
    }
    List<Config> configs =
        files.stream()
            .map(file -> file.config(session.sparkContext()::hadoopConfiguration))
            .toList();
    List<String> entries = new ArrayList<>();
    ConfigFactory.parseString(Settings.of(configs, assignments).toHocon(false))
        .getConfigList("kklip.ingest.sources")
        .forEach(entry -> entries.add(entry.root().render(ConfigRenderOptions.concise())));
    entries.addAll(sources);
    List<String> more = new ArrayList<>(assignments);
    more.add("ingest.sources=[" + String.join(",", entries) + "]");
    return more;
  }

  private <R extends Record> R run(Job<R> job, Arguments arguments) throws IOException {
    try {
      return run(job, arguments, session);
    } catch (IOException | RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException(e.getMessage(), e);
    }
  }

  /** Runs a job in a session that is there. */
  static <R extends Record> R run(Job<R> job, Arguments arguments, SparkSession session)
      throws Exception {
    try (StopSignal stop = new StopSignal(OptionalInt::empty, caller -> OptionalInt.empty());
        JobContext context = new JobContext(arguments, session, stop)) {
      return begin(job, context);
    }
  }

  /** Runs a job unless something is known to keep it from its end. */
  static <R extends Record> R begin(Job<R> job, JobContext context) throws Exception {
    if (job.isChecked()) {
      Preflight.require(context.arguments().job(), context);
    }
    return job.run(context);
  }
}
