package io.github.kklip.jobs;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.SettingsException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Hands a job to spark-submit of {@code SPARK_HOME} or of the path: its own jar, the one with
 * libtorch for a CPU ({@code KKLIP_GPU=true}: a GPU cluster brings its own), and with {@code
 * KKLIP_S3=true} the one with S3A.
 */
final class SparkSubmit {
  private static final Pattern SPARK = Pattern.compile("version (\\d+)\\.(\\d+)\\.\\d");
  private static final Pattern SCALA = Pattern.compile("Scala version (\\d+\\.\\d+)");

  private SparkSubmit() {}

  /**
   * Submits and waits for the end; returns the exit status.
   *
   * @throws SettingsException when there is nothing to submit with, or no Spark that fits
   * @throws IOException when spark-submit cannot be started
   */
  static int run(Arguments arguments, List<String> forwarded)
      throws IOException, InterruptedException {
    String home = System.getProperty("kklip.home");
    if (home == null) {
      throw new SettingsException(
          "Cannot submit: only spark-jobs/kklip can, which knows where the jars are.");
    }
    Map<String, String> environment = System.getenv();
    Path sparkSubmit = sparkSubmit(environment);
    requireFit(version(sparkSubmit));
    List<String> command =
        command(sparkSubmit, Path.of(home, "target"), arguments, forwarded, environment);
    return await(new ProcessBuilder(command).inheritIO().start());
  }

  private static int await(Process process) throws InterruptedException {
    Thread stop =
        new Thread(
            () -> {
              process.destroy();
              try {
                int unused = process.waitFor();
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            });
    Runtime.getRuntime().addShutdownHook(stop);
    return process.waitFor();
  }

  static Path sparkSubmit(Map<String, String> environment) {
    String home = environment.get("SPARK_HOME");
    List<Path> candidates = new ArrayList<>();
    if (home != null && !home.isEmpty()) {
      candidates.add(Path.of(home, "bin", "spark-submit"));
    } else {
      for (String folder : environment.getOrDefault("PATH", "").split(":", -1)) {
        candidates.add(Path.of(folder, "spark-submit"));
      }
    }
    return candidates.stream()
        .filter(Files::isExecutable)
        .findFirst()
        .orElseThrow(
            () ->
                new SettingsException(
                    "Cannot submit: there is no spark-submit. Set SPARK_HOME to a Spark distribution."));
  }

  private static String version(Path sparkSubmit) throws IOException, InterruptedException {
    Process process =
        new ProcessBuilder(sparkSubmit.toString(), "--version").redirectErrorStream(true).start();
    process.getOutputStream().close();
    try (InputStream in = process.getInputStream()) {
      String text = new String(in.readAllBytes(), StandardCharsets.UTF_8);
      int unused = process.waitFor();
      return text;
    }
  }

  /**
   * The jar is compiled against one Spark and one Scala; another pair fails later with errors that
   * nobody can read.
   */
  static void requireFit(String version) {
    Matcher spark = SPARK.matcher(version);
    Matcher scala = SCALA.matcher(version);
    String haveSpark = spark.find() ? spark.group(1) + "." + spark.group(2) : "of unknown version";
    String haveScala = scala.find() ? scala.group(1) : "of unknown version";
    String wantSpark = Version.of("spark");
    String wantScala = Version.of("scala");
    boolean major = haveSpark.split("\\.", 2)[0].equals(wantSpark.split("\\.", 2)[0]);
    if (!major || !haveScala.equals(wantScala)) {
      throw new SettingsException(
          message(
              "Cannot submit to Spark %s with Scala %s: this build is for Spark %s with Scala %s. Use such a distribution.",
              haveSpark, haveScala, wantSpark, wantScala));
    }
  }

  /**
   * The command line of spark-submit.
   *
   * @param target the folder with the jars
   */
  static List<String> command(
      Path sparkSubmit,
      Path target,
      Arguments arguments,
      List<String> forwarded,
      Map<String, String> environment)
      throws IOException {
    boolean cluster = forwarded.contains("cluster") || forwarded.contains("--deploy-mode=cluster");
    List<String> words = new ArrayList<>();
    words.add(sparkSubmit.toString());
    words.addAll(List.of("--class", Main.class.getName()));
    words.addAll(List.of("--name", "kklip " + arguments.job()));
    arguments.master().ifPresent(master -> words.addAll(List.of("--master", master)));
    List<String> jars = new ArrayList<>();
    if (!isTrue(environment, "KKLIP_GPU")) {
      jars.add(jar(target, "kklip-libtorch-cpu-*.jar"));
    }
    if (isTrue(environment, "KKLIP_S3")) {
      jars.add(jar(target, "kklip-s3-*.jar"));
    }
    if (!jars.isEmpty()) {
      words.addAll(List.of("--jars", String.join(",", jars)));
    }
    arguments.spark().forEach((key, value) -> words.addAll(List.of("--conf", key + "=" + value)));
    if (cluster) {
      // The driver runs elsewhere: it gets the files, and this process waits for its end.
      List<String> here =
          arguments.files().stream()
              .flatMap(file -> file.local().stream())
              .map(Path::toString)
              .toList();
      if (!here.isEmpty()) {
        words.add("--files");
        words.add(String.join(",", here));
      }
      for (String key :
          List.of(
              "spark.yarn.submit.waitAppCompletion",
              "spark.kubernetes.submission.waitAppCompletion",
              "spark.standalone.submit.waitAppCompletion")) {
        words.addAll(List.of("--conf", key + "=true"));
      }
    }
    words.addAll(forwarded);
    words.add(jar(target, "kklip-[0-9]*.jar"));
    words.add(arguments.job());
    for (UserFile file : arguments.files()) {
      Optional<Path> sent = cluster ? file.local().map(Path::getFileName) : Optional.empty();
      words.addAll(List.of("--conf", sent.map(Path::toString).orElse(file.text())));
    }
    arguments.assignments().forEach(word -> words.addAll(List.of("--set", word)));
    arguments.result().ifPresent(file -> words.addAll(List.of("--result", file.toString())));
    if (arguments.stacktrace()) {
      words.add("--stacktrace");
    }
    arguments
        .options()
        .forEach(
            (name, value) -> words.addAll(value.isEmpty() ? List.of(name) : List.of(name, value)));
    words.addAll(arguments.words());
    return words;
  }

  private static boolean isTrue(Map<String, String> environment, String name) {
    return "true".equals(environment.get(name));
  }

  private static String jar(Path target, String glob) throws IOException {
    try (DirectoryStream<Path> found = Files.newDirectoryStream(target, glob)) {
      for (Path file : found) {
        return file.toString();
      }
    }
    throw new SettingsException(
        message("Cannot submit: there is no %s in %s. Build it by mvn package.", glob, target));
  }
}
