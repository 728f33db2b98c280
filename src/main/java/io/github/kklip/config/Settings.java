package io.github.kklip.config;

import static io.github.kklip.config.Message.message;

import com.typesafe.config.Config;
import com.typesafe.config.ConfigException;
import com.typesafe.config.ConfigFactory;
import com.typesafe.config.ConfigParseOptions;
import com.typesafe.config.ConfigValueType;
import java.io.Serializable;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeSet;

/**
 * All settings of KKLIP, read once and checked as they are read. {@code reference.conf} holds every
 * key with its default and its documentation; a key that is not there is refused by name.
 */
public record Settings(
    long seed,
    String dataset,
    int threads,
    Duration leaseExpiry,
    Ingest ingest,
    Tokenizer tokenizer,
    Teacher teacher,
    Concepts concepts,
    Student student,
    Train train,
    Evaluate evaluate,
    Export export)
    implements Serializable {

  public enum SourceFormat {
    WEBDATASET,
    CSV,
    PARQUET,
    FOLDER,
    SYNTHETIC
  }

  /** What images that {@code ingest} makes smaller are stored as. */
  public enum ReencodeFormat {
    JPEG(65_535),
    WEBP(16_383);

    private final int longestSide;

    ReencodeFormat(int longestSide) {
      this.longestSide = longestSide;
    }

    /** The format's limit, in pixels. */
    public int longestSide() {
      return longestSide;
    }
  }

  public enum Dtype {
    FLOAT32,
    BFLOAT16,
    FLOAT16
  }

  public enum Pooling {
    MEAN,
    MEAN_BOS,
    LAST
  }

  /** What happens to a caption of more than {@code teacher.max-length} tokens. */
  public enum LongCaptions {
    CUT,
    REFUSE
  }

  public enum Postprocess {
    CENTRE_L2,
    NONE
  }

  /** The ways between ranks. */
  public enum Transport {
    /** NCCL between GPUs, shared memory within a machine, TCP between machines. */
    AUTO,
    /** Always TCP. */
    TCP,
    /** Shared memory between all ranks, or a failure. */
    SHARED_MEMORY,
    /** NCCL between GPUs, or a failure. */
    NCCL
  }

  /** Whether connections between ranks are encrypted. */
  public enum Encryption {
    /** When Spark's own are. */
    AUTO,
    ON,
    OFF
  }

  public enum KMeansEngine {
    GEMM,
    MLLIB
  }

  public enum KMeansMetric {
    EUCLIDEAN,
    COSINE
  }

  /** How k-means starts: k-means||, or k-means++ on a sample. */
  public enum KMeansStart {
    PARALLEL,
    SAMPLE
  }

  /**
   * One source of pairs.
   *
   * @param imageColumn column of the image's path (csv) or bytes (parquet)
   * @param captionColumn column (csv, parquet) or JSON field (webdataset) of the caption or list of
   *     captions
   * @param separator the csv's separator; empty: tab, or comma when the header has no tab
   * @param pairs images to make (synthetic)
   * @param weight rows for each pair: 2.5 stands for two of each and a third of half of the images
   */
  public record Source(
      SourceFormat format,
      String path,
      String imageColumn,
      String captionColumn,
      String separator,
      int pairs,
      double weight)
      implements Serializable {
    private static Source read(Section s) {
      s.only("format", "path", "image-column", "caption-column", "separator", "pairs", "weight");
      SourceFormat format = s.choice("format", SourceFormat.class);
      Source source =
          new Source(
              format,
              s.has("path") ? s.path("path") : "",
              s.text("image-column", ""),
              s.text("caption-column", ""),
              s.text("separator", ""),
              s.has("pairs") ? s.integer("pairs", 1, 10_000_000) : 2000,
              s.has("weight") ? s.number("weight", 0, 100) : 1);
      s.check(
          "path",
          source.path,
          format == SourceFormat.SYNTHETIC || !source.path.isEmpty(),
          "the path of the " + keyword(format) + " data");
      s.check("separator", source.separator, source.separator.length() <= 1, "one character");
      return source;
    }
  }

  public record Ingest(
      List<Source> sources,
      int shardRows,
      int rowGroupRows,
      double validationFraction,
      int minSide,
      long maxPixels,
      long maxBytes,
      double maxAspect,
      int minCaptionChars,
      int maxCaptionChars,
      long maxCaptionBytes,
      double maxExpansion,
      long splitBytes,
      boolean normaliseCaptions,
      int nearDuplicateBits,
      int reencodeSide,
      ReencodeFormat reencodeFormat,
      int reencodeQuality)
      implements Serializable {
    private static Ingest read(Section s) {
      return new Ingest(
          s.list("sources").stream().map(Source::read).toList(),
          s.integer("shard-rows", 1, 1_000_000),
          s.integer("row-group-rows", 1, 64),
          s.number("validation-fraction", 0, 0.9),
          s.integer("min-side", 1, 65_535),
          s.whole("max-pixels", 1, 1_000_000_000),
          s.bytes("max-bytes", 1024),
          s.number("max-aspect", 1, Double.MAX_VALUE),
          s.integer("min-caption-chars", 1, 1_000_000),
          s.integer("max-caption-chars", 1, 10_000_000),
          s.bytes("max-caption-bytes", 1024),
          s.number("max-expansion", 1, Double.MAX_VALUE),
          s.bytes("split-bytes", 1 << 16),
          s.flag("normalise-captions"),
          s.integer("near-duplicate-bits", -1, 16),
          s.integer("reencode-side", 0, 65_535),
          s.choice("reencode-format", ReencodeFormat.class),
          s.integer("reencode-quality", 1, 100));
    }
  }

  public record Tokenizer(int vocabSize, int minFrequency) implements Serializable {
    private static Tokenizer read(Section s) {
      return new Tokenizer(
          s.integer("vocab-size", 514, 1_000_000),
          s.integer("min-frequency", 1, Integer.MAX_VALUE));
    }
  }

  public record Teacher(
      String name,
      String path,
      Dtype dtype,
      Pooling pooling,
      int layer,
      Postprocess postprocess,
      int maxLength,
      LongCaptions longCaptions,
      int batchTokens,
      Dtype storage)
      implements Serializable {
    private static Teacher read(Section s) {
      Teacher teacher =
          new Teacher(
              folderName(s, "name"),
              s.path("path"),
              s.choice("dtype", Dtype.class),
              s.choice("pooling", Pooling.class),
              s.integer("layer", -1, 1000),
              s.choice("postprocess", Postprocess.class),
              s.integer("max-length", 2, 1_000_000),
              s.choice("long-captions", LongCaptions.class),
              s.integer("batch-tokens", 0, Integer.MAX_VALUE),
              s.choice("storage", Dtype.class));
      s.check("storage", "bfloat16", teacher.storage != Dtype.BFLOAT16, "float32 or float16");
      return teacher;
    }
  }

  public record Concepts(
      String name,
      int k,
      KMeansEngine engine,
      KMeansMetric metric,
      KMeansStart start,
      int iterations,
      double tolerance,
      int initSteps,
      long batchRows,
      boolean recluster,
      OptionalDoubleValue temperature,
      double targetPerplexity,
      OptionalDoubleValue topK,
      double topMass)
      implements Serializable {
    private static Concepts read(Section s) {
      int k = s.integer("k", 2, 1_000_000);
      OptionalDoubleValue temperature =
          OptionalDoubleValue.of(s.numberOrAuto("temperature", 1e-12, 1e12));
      double perplexity = s.number("target-perplexity", 1, Double.MAX_VALUE);
      s.check(
          "target-perplexity",
          perplexity,
          temperature.present() || (perplexity > 1 && perplexity < k),
          "over 1 and under concepts.k = " + k);
      OptionalDouble topK = s.numberOrAuto("top-k", 1, k);
      s.check(
          "top-k",
          topK,
          topK.isEmpty() || topK.getAsDouble() % 1 == 0,
          "auto or a whole number from 1 to " + k);
      KMeansEngine engine = s.choice("engine", KMeansEngine.class);
      long batchRows = s.whole("batch-rows", 0, Long.MAX_VALUE);
      s.check(
          "batch-rows",
          batchRows,
          batchRows == 0 || engine == KMeansEngine.GEMM,
          "0 with concepts.engine = mllib, which has no mini-batches");
      return new Concepts(
          folderName(s, "name"),
          k,
          engine,
          s.choice("metric", KMeansMetric.class),
          s.choice("start", KMeansStart.class),
          s.integer("iterations", 1, 100_000),
          s.number("tolerance", 0, Double.MAX_VALUE),
          s.integer("init-steps", 1, 100),
          batchRows,
          s.flag("recluster"),
          temperature,
          perplexity,
          OptionalDoubleValue.of(topK),
          s.number("top-mass", 1e-6, 1));
    }

    /** The set top-k; empty when it is {@code auto}. */
    public OptionalInt fixedTopK() {
      return topK.present() ? OptionalInt.of((int) topK.value()) : OptionalInt.empty();
    }

    /** The set temperature; empty when it is {@code auto}. */
    public OptionalDouble fixedTemperature() {
      return temperature.present()
          ? OptionalDouble.of(temperature.value())
          : OptionalDouble.empty();
    }
  }

  /** A number or {@code auto}, which {@link OptionalDouble} cannot be: it is not serializable. */
  public record OptionalDoubleValue(boolean present, double value) implements Serializable {
    static OptionalDoubleValue of(OptionalDouble optional) {
      return new OptionalDoubleValue(optional.isPresent(), optional.orElse(0));
    }
  }

  public record Student(String config, String init, String tokenizer) implements Serializable {
    private static Student read(Section s) {
      String config = s.text("config");
      return new Student(
          config.contains("/") || config.endsWith(".json") ? s.path("config") : config,
          s.path("init"),
          s.path("tokenizer"));
    }
  }

  /** Weights of the three losses: alpha, beta and gamma of the paper. */
  public record LossWeights(double emb, double concept, double contrastive)
      implements Serializable {
    private static LossWeights read(Section s) {
      LossWeights weights =
          new LossWeights(
              s.number("emb", 0, Double.MAX_VALUE),
              s.number("concept", 0, Double.MAX_VALUE),
              s.number("contrastive", 0, Double.MAX_VALUE));
      s.check(
          "contrastive",
          0,
          weights.emb + weights.concept + weights.contrastive > 0,
          "over 0, as must one of the three");
      return weights;
    }
  }

  public record Checkpoint(int everySteps, int keep) implements Serializable {
    private static Checkpoint read(Section s) {
      return new Checkpoint(
          s.integer("every-steps", 0, Integer.MAX_VALUE), s.integer("keep", 1, 1000));
    }
  }

  public record Train(
      String output,
      int ranks,
      int batch,
      int microBatch,
      boolean recompute,
      int epochs,
      int steps,
      Dtype precision,
      double lr,
      int warmupSteps,
      double weightDecay,
      double beta1,
      double beta2,
      double eps,
      double clipNorm,
      LossWeights loss,
      boolean sharedClassifier,
      double augmentMinScale,
      Checkpoint checkpoint,
      int restarts,
      int maxSkippedSteps,
      int logEverySteps,
      int loaderThreads,
      long prefetch,
      Duration rendezvousTimeout,
      Duration stepTimeout,
      Duration heartbeatTimeout,
      int port,
      Transport transport,
      String sharedFolder,
      Encryption encryption,
      boolean compressGradients,
      boolean shardOptimizer)
      implements Serializable {
    private static Train read(Section s) {
      Train train =
          new Train(
              s.path("output"),
              s.integer("ranks", 1, 100_000),
              s.integer("batch", 1, Integer.MAX_VALUE),
              s.integer("micro-batch", 0, Integer.MAX_VALUE),
              s.flag("recompute"),
              s.integer("epochs", 1, Integer.MAX_VALUE),
              s.integer("steps", 0, Integer.MAX_VALUE),
              s.choice("precision", Dtype.class),
              s.number("lr", 0, 10),
              s.integer("warmup-steps", 0, Integer.MAX_VALUE),
              s.number("weight-decay", 0, 100),
              s.number("beta1", 0, 0.999999),
              s.number("beta2", 0, 0.9999999),
              s.number("eps", 1e-20, 1),
              s.number("clip-norm", 0, Double.MAX_VALUE),
              LossWeights.read(s.section("loss")),
              s.flag("shared-classifier"),
              s.number("augment-min-scale", 0.01, 1),
              Checkpoint.read(s.section("checkpoint")),
              s.integer("restarts", 0, 1000),
              s.integer("max-skipped-steps", 1, Integer.MAX_VALUE),
              s.integer("log-every-steps", 1, Integer.MAX_VALUE),
              s.integer("loader-threads", 1, 256),
              s.bytes("prefetch", 1 << 20),
              s.duration("rendezvous-timeout"),
              s.duration("step-timeout"),
              s.duration("heartbeat-timeout"),
              s.integer("port", 0, 65_535),
              s.choice("transport", Transport.class),
              s.text("shared-folder"),
              s.choice("encryption", Encryption.class),
              s.flag("compress-gradients"),
              s.flag("shard-optimizer"));
      s.check("precision", "float16", train.precision != Dtype.FLOAT16, "float32 or bfloat16");
      s.check(
          "batch",
          train.batch,
          train.batch >= train.ranks,
          "at least train.ranks = " + train.ranks);
      return train;
    }
  }

  /** One zero-shot classification: a folder with one folder of images for each class. */
  public record ZeroShot(String name, String path, List<String> templates) implements Serializable {
    private static ZeroShot read(Section s) {
      s.only("name", "path", "templates");
      List<String> templates = s.texts("templates", List.of("a photo of a {}."));
      s.check(
          "templates",
          templates,
          !templates.isEmpty() && templates.stream().allMatch(t -> t.contains("{}")),
          "a list of texts with {} where the class goes");
      return new ZeroShot(s.text("name"), s.path("path"), templates);
    }
  }

  public record Evaluate(
      String model, String report, int maxImages, int batch, List<ZeroShot> zeroShot, int examples)
      implements Serializable {
    private static Evaluate read(Section s) {
      return new Evaluate(
          s.path("model"),
          s.path("report"),
          s.integer("max-images", 1, Integer.MAX_VALUE),
          s.integer("batch", 1, Integer.MAX_VALUE),
          s.list("zero-shot").stream().map(ZeroShot::read).toList(),
          s.integer("examples", 0, 1000));
    }
  }

  public record Export(String model, String path) implements Serializable {
    private static Export read(Section s) {
      return new Export(s.path("model"), s.path("path"));
    }
  }

  /**
   * Reads the settings from files and assignments over the defaults.
   *
   * @param files HOCON files; a later one wins
   * @param assignments {@code KEY=VALUE} with KEY relative to {@code kklip.}; they win over the
   *     files
   * @throws SettingsException on a missing file, an unknown key, or a value out of its range
   */
  public static Settings load(List<Path> files, List<String> assignments) {
    Config config = ConfigFactory.empty();
    for (Path file : files) {
      if (!Files.isReadable(file)) {
        throw new SettingsException(
            message(
                "Cannot read the configuration file %s: there is no such readable file.", file));
      }
      config =
          parse(file.toString(), () -> ConfigFactory.parseFile(file.toFile(), strict()))
              .withFallback(config);
    }
    for (String assignment : assignments) {
      int equals = assignment.indexOf('=');
      if (equals <= 0) {
        throw new SettingsException(
            message("Cannot use --set %s: it must be KEY=VALUE.", assignment));
      }
      config = parse("--set " + assignment, () -> assign(assignment, equals)).withFallback(config);
    }
    return of(config);
  }

  /** Settings from a configuration without defaults, {@code kklip.} included. */
  public static Settings of(Config user) {
    // Without the system properties that ConfigFactory.load() would let in: only what was given
    // counts.
    Config defaults =
        ConfigFactory.parseResources(Settings.class.getClassLoader(), "reference.conf");
    refuseUnknown(user, defaults.resolve());
    Config resolved = parse("the configuration", () -> user.withFallback(defaults).resolve());
    return read(new Section(resolved.getConfig("kklip"), "kklip"));
  }

  private static Settings read(Section s) {
    return new Settings(
        s.whole("seed", 0, Long.MAX_VALUE),
        s.path("dataset"),
        s.integer("threads", 0, 1024),
        s.duration("lease-expiry"),
        Ingest.read(s.section("ingest")),
        Tokenizer.read(s.section("tokenizer")),
        Teacher.read(s.section("teacher")),
        Concepts.read(s.section("concepts")),
        Student.read(s.section("student")),
        Train.read(s.section("train")),
        Evaluate.read(s.section("evaluate")),
        Export.read(s.section("export")));
  }

  /** {@code value}, or an error that says which key has to be set. */
  public static String required(String value, String key) {
    if (value.isEmpty()) {
      throw new SettingsException(
          message(
              "Cannot go on without kklip.%s: it is empty. Set it, for example by --set %s=...",
              key, key));
    }
    return value;
  }

  /** A name that becomes a folder of the dataset. */
  private static String folderName(Section s, String key) {
    String name = s.text(key);
    s.check(
        key, name, name.matches("[A-Za-z0-9][A-Za-z0-9._-]*"), "letters, digits, '.', '_' and '-'");
    return name;
  }

  private static void refuseUnknown(Config user, Config defaults) {
    Set<String> known = new TreeSet<>();
    defaults.entrySet().forEach(e -> known.add(e.getKey()));
    for (Map.Entry<String, com.typesafe.config.ConfigValue> entry : user.entrySet()) {
      if (!known.contains(entry.getKey())) {
        throw new SettingsException(
            Nearest.unknownKey(
                entry.getKey(),
                "kklip.",
                known.stream().map(k -> k.replaceFirst("^kklip\\.", "")).toList()));
      }
    }
    for (String key : user.root().keySet()) {
      if (!key.equals("kklip") || user.root().get(key).valueType() != ConfigValueType.OBJECT) {
        throw new SettingsException(
            message("Cannot use the setting %s: every key stands inside kklip { }.", key));
      }
    }
  }

  /** The name of an enum's constant in a configuration: {@code CENTRE_L2} is {@code centre-l2}. */
  public static String keyword(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  private static Config assign(String assignment, int equals) {
    return ConfigFactory.parseString(
        "kklip."
            + assignment.substring(0, equals)
            + " = "
            + quoted(assignment.substring(equals + 1)));
  }

  /**
   * Paths such as s3a://bucket/x and C:x would end a HOCON value at // or fail at ':'; what is not
   * plain HOCON is quoted.
   */
  private static String quoted(String value) {
    String trimmed = value.trim();
    boolean hocon = trimmed.startsWith("[") || trimmed.startsWith("{") || trimmed.startsWith("\"");
    return hocon ? value : '"' + trimmed.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
  }

  private static ConfigParseOptions strict() {
    return ConfigParseOptions.defaults().setAllowMissing(false);
  }

  private static Config parse(String what, java.util.function.Supplier<Config> parser) {
    try {
      return parser.get();
    } catch (ConfigException e) {
      throw new SettingsException(message("Cannot read %s: %s", what, e.getMessage()), e);
    }
  }
}
