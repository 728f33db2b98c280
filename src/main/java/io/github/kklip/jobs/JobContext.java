package io.github.kklip.jobs;

import com.typesafe.config.Config;
import io.github.kklip.check.HostChecks;
import io.github.kklip.check.Machine;
import io.github.kklip.config.Settings;
import java.util.List;
import java.util.function.Supplier;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.SparkSession;

/**
 * What a job works with: its settings, and a Spark session that is made when it is first asked for.
 */
final class JobContext implements AutoCloseable {
  private final Arguments arguments;

  /** What the files of settings hold. */
  private final List<Config> files;

  private final Settings settings;
  private final boolean ownsSession;
  private final StopSignal stop;
  private SparkSession session;

  /** A job of its own: it opens a session when it needs one, and closes it. */
  JobContext(Arguments arguments, StopSignal stop) {
    this(
        arguments,
        read(arguments, () -> SparkSessions.hadoop(arguments.spark())),
        null,
        !SparkSessions.shared(),
        stop);
  }

  /** A job within the session of somebody else. */
  JobContext(Arguments arguments, SparkSession session, StopSignal stop) {
    this(
        arguments,
        read(arguments, session.sparkContext()::hadoopConfiguration),
        session,
        false,
        stop);
  }

  private JobContext(
      Arguments arguments,
      List<Config> files,
      SparkSession session,
      boolean ownsSession,
      StopSignal stop) {
    this.arguments = arguments;
    this.files = files;
    this.settings = Settings.of(files, arguments.assignments());
    this.session = session;
    this.ownsSession = ownsSession;
    this.stop = stop;
  }

  private static List<Config> read(Arguments arguments, Supplier<Configuration> configuration) {
    return arguments.files().stream().map(file -> file.config(configuration)).toList();
  }

  /**
   * The same session with some settings changed: for the jobs that consist of jobs. Closing it
   * leaves the session open.
   *
   * @param assignments {@code KEY=VALUE}; they win over what the user gave
   */
  JobContext with(List<String> assignments) {
    return new JobContext(arguments.with(assignments), files, spark(), false, stop);
  }

  /** The settings of {@link #with}, without a session. */
  Settings settingsWith(List<String> assignments) {
    return Settings.of(files, arguments.with(assignments).assignments());
  }

  Arguments arguments() {
    return arguments;
  }

  Settings settings() {
    return settings;
  }

  /** The request to stop, for the jobs that can end in good order before their end. */
  StopSignal stop() {
    return stop;
  }

  SparkSession spark() {
    if (session == null) {
      session = SparkSessions.open(conf());
      stop.onRequest(session.sparkContext()::cancelAllJobs);
    }
    return session;
  }

  /** The session of {@link #spark}, with executors to compute on. */
  SparkSession sparkWithExecutors() {
    SparkSession spark = spark();
    EmbeddedExecutors.await(spark.sparkContext(), settings.train().comms().rendezvousTimeout());
    return spark;
  }

  /** The context of {@link #sparkWithExecutors}. */
  JavaSparkContext javaSpark() {
    return JavaSparkContext.fromSparkContext(sparkWithExecutors().sparkContext());
  }

  /** The file systems' configuration as Spark has it, {@code spark.hadoop.*} included. */
  Configuration hadoop() {
    return spark().sparkContext().hadoopConfiguration();
  }

  /**
   * The same without starting Spark, for what is looked at before.
   *
   * @throws RefusedException with all that this machine lacks of what Hadoop and Spark need
   */
  Configuration hadoopBeforeSpark() {
    if (session != null) {
      return hadoop();
    }
    SparkConf conf = conf();
    List<String> problems = HostChecks.of(conf);
    if (!problems.isEmpty()) {
      throw new RefusedException(arguments.job(), problems);
    }
    return SparkSessions.hadoop(conf);
  }

  /** Where the job is to run, known without starting Spark. */
  Machine machine() {
    boolean embedded =
        session == null && SparkSessions.embedded(arguments.master(), arguments.spark());
    return Machine.here(
        session == null ? conf() : session.sparkContext().getConf(),
        embedded,
        arguments.result().flatMap(UserFile::local));
  }

  private SparkConf conf() {
    return SparkSessions.conf(
        "kklip " + arguments.job(), arguments.master(), arguments.spark(), settings);
  }

  @Override
  public void close() {
    if (session != null && ownsSession) {
      // What Spark's processes say while they go down, in whatever order, means nothing to anybody.
      session.sparkContext().setLogLevel("OFF");
      session.stop();
    }
  }
}
