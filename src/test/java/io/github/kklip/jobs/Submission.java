package io.github.kklip.jobs;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A job through spark-submit: Spark's own jars on the class path of driver and executors, and of
 * KKLIP only the jars that a cluster gets.
 */
record Submission(String master, List<String> jars, Map<String, String> spark) {
  /** What the jars bring, or only the tests have, so that Spark's class path is without it. */
  private static final List<String> NOT_SPARK =
      List.of(
          "/ai/djl/",
          "/com/typesafe/config/",
          "/com/twelvemonkeys/",
          "/commons-csv/",
          "/target/",
          "/hadoop-aws/",
          "/software/amazon/",
          "/org/gaul/",
          "/tools/jackson/");

  /** The class path that a Spark distribution has. */
  private static String sparkClassPath() {
    return Stream.of(System.getProperty("java.class.path").split(File.pathSeparator))
        .filter(entry -> NOT_SPARK.stream().noneMatch(entry::contains))
        .collect(Collectors.joining(File.pathSeparator));
  }

  /**
   * Submits the job and waits for its end, which has to be a good one.
   *
   * @param folder where its settings and log go
   * @return its log
   */
  String run(Path folder, List<String> words) throws Exception {
    // Credentials belong into a file: a command line is everybody's to read.
    Map<String, String> settings =
        new TreeMap<>(
            Map.of(
                "spark.executor.extraClassPath", sparkClassPath(),
                "spark.executor.memory", "768m",
                "spark.driver.host", "127.0.0.1",
                "spark.driver.bindAddress", "127.0.0.1",
                "spark.ui.enabled", "false"));
    settings.putAll(spark);
    Path properties = folder.resolve("spark.properties");
    Files.write(
        properties,
        settings.entrySet().stream().map(e -> e.getKey() + " " + e.getValue()).toList());
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("@" + Path.of("conf", "jvm.options").toAbsolutePath());
    command.addAll(
        List.of("-Xmx1g", "-cp", sparkClassPath(), "org.apache.spark.deploy.SparkSubmit"));
    command.addAll(List.of("--master", master, "--class", "io.github.kklip.jobs.Main"));
    command.addAll(List.of("--properties-file", properties.toString()));
    command.addAll(
        List.of(
            "--jars",
            jars.stream().map(Submission::jar).collect(Collectors.joining(",")),
            jar("kklip-0")));
    command.addAll(words);
    Path log = folder.resolve("driver.log");
    Process driver =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
    try {
      assertThat(driver.waitFor(6, TimeUnit.MINUTES)).as(() -> read(log)).isTrue();
    } finally {
      driver.destroyForcibly();
    }
    assertThat(driver.exitValue()).as(() -> read(log)).isZero();
    return read(log);
  }

  private static String jar(String prefix) {
    File[] found =
        new File("target")
            .listFiles((dir, name) -> name.startsWith(prefix) && name.endsWith(".jar"));
    assertThat(found).as("target/" + prefix + "*.jar of the package phase").hasSize(1);
    return Arrays.asList(found).get(0).getAbsolutePath();
  }

  private static String read(Path log) {
    try {
      return Files.readString(log);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
