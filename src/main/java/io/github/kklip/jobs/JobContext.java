package io.github.kklip.jobs;

import io.github.kklip.config.Settings;
import java.util.Map;
import java.util.Optional;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.SparkSession;

/**
 * What a job works with: its settings, and a Spark session that is made when it is first asked for.
 */
final class JobContext implements AutoCloseable {
  private final Settings settings;
  private final String name;
  private final Optional<String> master;
  private final Map<String, String> sparkSettings;
  private SparkSession session;
  private boolean foreign;

  JobContext(
      Settings settings, String name, Optional<String> master, Map<String, String> sparkSettings) {
    this.settings = settings;
    this.name = name;
    this.master = master;
    this.sparkSettings = sparkSettings;
  }

  private JobContext(Settings settings, String name, SparkSession session) {
    this(settings, name, Optional.empty(), Map.of());
    this.session = session;
    this.foreign = true;
  }

  /**
   * The same session with other settings: for the jobs that consist of jobs. Closing it leaves the
   * session open.
   */
  JobContext with(Settings other, String job) {
    return new JobContext(other, job, spark());
  }

  Settings settings() {
    return settings;
  }

  SparkSession spark() {
    if (session == null) {
      session = SparkSessions.open("kklip " + name, master, sparkSettings, settings);
    }
    return session;
  }

  JavaSparkContext javaSpark() {
    return JavaSparkContext.fromSparkContext(spark().sparkContext());
  }

  /** The file systems' configuration as Spark has it, {@code spark.hadoop.*} included. */
  Configuration hadoop() {
    return spark().sparkContext().hadoopConfiguration();
  }

  @Override
  public void close() {
    if (session != null && !foreign) {
      session.stop();
    }
  }
}
