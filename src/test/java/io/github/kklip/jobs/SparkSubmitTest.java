package io.github.kklip.jobs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.config.SettingsException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SparkSubmitTest {
  private static final Path SPARK = Path.of("/spark/bin/spark-submit");

  @TempDir private Path target;

  @BeforeEach
  void jars() throws IOException {
    for (String name :
        List.of("kklip-0.1.0.jar", "kklip-libtorch-cpu-2.7.1.jar", "kklip-s3-3.4.1.jar")) {
      Files.createFile(target.resolve(name));
    }
  }

  private String jar(String name) {
    return target.resolve(name).toString();
  }

  private List<String> command(Map<String, String> environment, String... words)
      throws IOException, UsageException {
    Command.Submit submit =
        (Command.Submit) new CommandLineParser(Jobs.all()).parse(Arrays.asList(words));
    return SparkSubmit.command(SPARK, target, submit.arguments(), submit.forwarded(), environment);
  }

  @Test
  void handsSparksWordsToSparkAndTheJobsToTheJob() throws Exception {
    assertThat(
            command(
                Map.of(),
                "train",
                "--submit",
                "--master",
                "spark://host:7077",
                "--spark",
                "spark.a=b=c",
                "--conf",
                "/etc/my.conf",
                "--set",
                "seed=1",
                "--result",
                "r.json",
                "--stacktrace",
                "--",
                "--num-executors",
                "3"))
        .containsExactly(
            SPARK.toString(),
            "--class",
            "io.github.kklip.jobs.Main",
            "--name",
            "kklip train",
            "--master",
            "spark://host:7077",
            "--jars",
            jar("kklip-libtorch-cpu-2.7.1.jar"),
            "--conf",
            "spark.a=b=c",
            "--num-executors",
            "3",
            jar("kklip-0.1.0.jar"),
            "train",
            "--conf",
            "/etc/my.conf",
            "--set",
            "seed=1",
            "--result",
            "r.json",
            "--stacktrace");
  }

  @Test
  void theEnvironmentChoosesTheJars() throws Exception {
    assertThat(command(Map.of("KKLIP_GPU", "true"), "train", "--submit")).doesNotContain("--jars");
    assertThat(command(Map.of("KKLIP_GPU", "true", "KKLIP_S3", "true"), "train", "--submit"))
        .containsSubsequence("--jars", jar("kklip-s3-3.4.1.jar"));
    assertThat(command(Map.of("KKLIP_S3", "true"), "train", "--submit"))
        .containsSubsequence(
            "--jars", jar("kklip-libtorch-cpu-2.7.1.jar") + "," + jar("kklip-s3-3.4.1.jar"));
  }

  @Test
  void aDriverElsewhereReadsItselfWhatIsElsewhere() throws Exception {
    assertThat(
            command(
                Map.of(),
                "train",
                "--submit",
                "--conf",
                "s3a://bucket/my.conf",
                "--conf",
                "file:/etc/a%20b.conf",
                "--result",
                "hdfs://n/r.json",
                "--",
                "--deploy-mode",
                "cluster"))
        .containsSubsequence("--files", "/etc/a b.conf")
        .containsSubsequence("--conf", "s3a://bucket/my.conf", "--conf", "a b.conf")
        .containsSubsequence("--result", "hdfs://n/r.json");
  }

  @Test
  void aDriverElsewhereGetsTheFilesAndIsWaitedFor() throws Exception {
    List<String> command =
        command(
            Map.of(),
            "run",
            "--submit",
            "--conf",
            "/etc/a.conf",
            "--conf",
            "b.conf",
            "--",
            "--deploy-mode",
            "cluster");
    assertThat(command)
        .containsSubsequence("--files", "/etc/a.conf,b.conf")
        .containsSubsequence("--conf", "spark.yarn.submit.waitAppCompletion=true")
        .containsSubsequence("--conf", "spark.kubernetes.submission.waitAppCompletion=true")
        .containsSubsequence("--conf", "spark.standalone.submit.waitAppCompletion=true");
    assertThat(command.subList(command.indexOf("run"), command.size()))
        .containsExactly("run", "--conf", "a.conf", "--conf", "b.conf");
  }

  @Test
  void anotherSparkOrScalaIsRefused() {
    SparkSubmit.requireFit("version 4.0.1\nUsing Scala version 2.13.16, OpenJDK");
    assertThatThrownBy(
            () -> SparkSubmit.requireFit("version 3.5.1\nUsing Scala version 2.12.18, OpenJDK"))
        .isInstanceOf(SettingsException.class)
        .hasMessageStartingWith(
            "Cannot submit to Spark 3.5 with Scala 2.12: this build is for Spark 4.");
    assertThatThrownBy(() -> SparkSubmit.requireFit("command not found"))
        .hasMessageStartingWith("Cannot submit to Spark of unknown version with Scala of unknown");
  }

  @Test
  void whatIsMissingIsSaid() throws IOException {
    assertThatThrownBy(() -> SparkSubmit.sparkSubmit(Map.of("SPARK_HOME", target.toString())))
        .hasMessage(
            "Cannot submit: there is no spark-submit. Set SPARK_HOME to a Spark distribution.");
    Files.delete(target.resolve("kklip-libtorch-cpu-2.7.1.jar"));
    assertThatThrownBy(() -> command(Map.of(), "train", "--submit"))
        .hasMessage(
            "Cannot submit: there is no kklip-libtorch-cpu-*.jar in "
                + target
                + ". Build it by mvn package.");
  }

  @Test
  void theDemoIsNotSubmitted() {
    assertThatThrownBy(() -> command(Map.of(), "demo", "--submit"))
        .hasMessageStartingWith("Cannot use the argument --submit: ");
  }
}
