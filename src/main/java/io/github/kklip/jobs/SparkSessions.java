package io.github.kklip.jobs;

import io.github.kklip.config.Settings;
import io.github.kklip.ingest.IngestStage;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.SparkConf;
import org.apache.spark.deploy.SparkHadoopUtil;
import org.apache.spark.sql.SparkSession;

/**
 * Opens the Spark session of a job. Started by spark-submit, Spark's own settings hold. Otherwise
 * Spark runs embedded: several executor processes on this machine ({@code local-cluster}), so that
 * what a laptop runs is what a cluster runs.
 */
final class SparkSessions {
  private SparkSessions() {}

  /** True where the session belongs to the platform and lives on after the job: Databricks. */
  static boolean shared() {
    return System.getenv("DATABRICKS_RUNTIME_VERSION") != null;
  }

  /** Opens a session, or takes the one that is there. */
  static SparkSession open(SparkConf conf) {
    if (conf.get("spark.master").startsWith("local-cluster")
        && System.getenv("SPARK_HOME") == null) {
      throw new IllegalStateException(
          "Cannot start executor processes because SPARK_HOME is not set. Start the job by spark-jobs/kklip, which sets it, or give --master local[*].");
    }
    return SparkSession.builder().config(conf).getOrCreate();
  }

  /** Whether this program chooses the master: neither spark-submit nor the user has. */
  static boolean embedded(Optional<String> master, Map<String, String> overrides) {
    return master.isEmpty()
        && !overrides.containsKey("spark.master")
        && !new SparkConf().contains("spark.master");
  }

  /** The settings of the session that {@link #open} opens. */
  static SparkConf conf(
      String name, Optional<String> master, Map<String, String> overrides, Settings settings) {
    SparkConf conf = new SparkConf();
    boolean submitted = conf.contains("spark.master");
    conf.setAppName(name);
    master.ifPresent(conf::setMaster);
    if (!conf.contains("spark.master")) {
      conf.setMaster(embeddedMaster(settings));
    }
    if (!submitted) {
      embedded(conf);
    }
    // A stuck task must not outlive its stage: Spark kills its JVM after the reaper's time.
    conf.setIfMissing("spark.task.reaper.enabled", "true");
    conf.setIfMissing("spark.task.reaper.killTimeout", "120s");
    // Spark's default is a year.
    conf.setIfMissing(
        "spark.barrier.sync.timeout",
        Long.toString(settings.train().comms().rendezvousTimeout().toSeconds()));
    if (IngestStage.readsTables(settings) && isHiveThere()) {
      // The catalog that spark-shell and notebooks have; sessions have none unless they ask for it.
      conf.setIfMissing("spark.sql.catalogImplementation", "hive");
    }
    overrides.forEach(conf::set);
    if (!submitted && conf.get("spark.master").startsWith("local-cluster")) {
      addPlugin(conf);
    }
    return conf;
  }

  /** The file systems' configuration with these settings of Spark, before all others are known. */
  static Configuration hadoop(Map<String, String> overrides) {
    SparkConf conf = new SparkConf();
    overrides.forEach(conf::set);
    return hadoop(conf);
  }

  /** The file systems' configuration that a session with these settings would have. */
  static Configuration hadoop(SparkConf conf) {
    return SparkHadoopUtil.get().newConfiguration(conf);
  }

  private static boolean isHiveThere() {
    for (String name :
        List.of(
            "org.apache.spark.sql.hive.HiveSessionStateBuilder",
            "org.apache.hadoop.hive.conf.HiveConf")) {
      try {
        Class<?> unused =
            Class.forName(name, false, Thread.currentThread().getContextClassLoader());
      } catch (ClassNotFoundException | LinkageError e) {
        return false;
      }
    }
    return true;
  }

  /** One executor process for each rank; the machine's cores shared among them. */
  private static String embeddedMaster(Settings settings) {
    int ranks = settings.train().ranks();
    int cores = Math.max(1, Runtime.getRuntime().availableProcessors() / ranks);
    return "local-cluster[" + ranks + "," + cores + "," + EXECUTOR_MEMORY_MB + "]";
  }

  private static final int EXECUTOR_MEMORY_MB = 1536;
  private static final String PLUGINS = "spark.plugins";

  private static void embedded(SparkConf conf) {
    String classPath = System.getProperty("java.class.path");
    conf.setIfMissing("spark.executor.extraClassPath", classPath);
    conf.setIfMissing("spark.executor.extraJavaOptions", executorOptions());
    conf.setIfMissing("spark.ui.enabled", "false");
    // Heartbeats carry progress; as long as ever until an executor takes the driver for dead.
    conf.setIfMissing("spark.executor.heartbeatInterval", "2s");
    conf.setIfMissing("spark.executor.heartbeat.maxFailures", "300");
    conf.setIfMissing("spark.driver.host", "127.0.0.1");
    conf.setIfMissing("spark.driver.bindAddress", "127.0.0.1");
    conf.setIfMissing("spark.executor.memory", EXECUTOR_MEMORY_MB + "m");
    conf.setIfMissing("spark.sql.shuffle.partitions", "4");
  }

  /** Beside those that the user names. */
  private static void addPlugin(SparkConf conf) {
    String own = EmbeddedExecutorPlugin.class.getName();
    String others = conf.get(PLUGINS, "");
    if (!Arrays.asList(others.split("\\s*,\\s*", -1)).contains(own)) {
      conf.set(PLUGINS, others.isBlank() ? own : others + "," + own);
    }
  }

  /**
   * Executors log as the driver does, but every failure of a task with its stack trace, and put
   * what they leave for a time where the launcher removes it.
   */
  private static String executorOptions() {
    List<String> options = new ArrayList<>();
    options.add("-Dkklip.log.tasks=warn");
    for (String name : List.of("log4j2.configurationFile", "java.io.tmpdir")) {
      if (System.getProperty(name) != null) {
        options.add("-D" + name + "=" + System.getProperty(name));
      }
    }
    return options.stream().map(SparkSessions::quoted).collect(Collectors.joining(" "));
  }

  /** One option as Spark takes it apart: it ends at a space outside of quotes. */
  static String quoted(String option) {
    return '"' + option.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
  }
}
