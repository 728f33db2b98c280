package io.github.kklip.jobs;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.kklip.train.checkpoint.Checkpoint;
import io.github.kklip.train.checkpoint.CheckpointStore;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** spark-jobs/kklip as a person's shell has it: signals go to its whole process group. */
class StopSignalsIT {
  @TempDir private Path folder;
  private Path temporary;

  @BeforeEach
  void makeTemporary() throws IOException {
    temporary = Files.createDirectory(folder.resolve("tmp"));
  }

  private Process kklip(String... words) throws IOException {
    return start(List.of("spark-jobs/kklip"), words);
  }

  private Process start(List<String> program, String... words) throws IOException {
    // A signal that is ignored here would be ignored by the program too.
    List<String> command = new ArrayList<>(List.of("env", "--default-signal=INT,HUP", "setsid"));
    command.addAll(program);
    command.addAll(List.of(words));
    ProcessBuilder builder =
        new ProcessBuilder(command)
            .redirectOutput(folder.resolve("out").toFile())
            .redirectError(folder.resolve("err").toFile());
    builder.environment().put("JAVA_HOME", System.getProperty("java.home"));
    builder.environment().put("TMPDIR", temporary.toString());
    builder.environment().remove("SPARK_LOCAL_DIRS");
    return builder.start();
  }

  private int end(Process process) throws Exception {
    try {
      assertThat(process.waitFor(2, TimeUnit.MINUTES)).as(this::said).isTrue();
      return process.exitValue();
    } finally {
      process.descendants().forEach(ProcessHandle::destroyForcibly);
      process.destroyForcibly();
    }
  }

  private String said() {
    return text("err");
  }

  private String text(String name) {
    try {
      return Files.readString(folder.resolve(name));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private JsonNode result() throws IOException {
    String[] lines = text("out").split("\n", -1);
    assertThat(lines[lines.length - 2]).startsWith("RESULT ");
    return new ObjectMapper().readTree(lines[lines.length - 2].substring("RESULT ".length()));
  }

  /** Waits until a run of ingest has begun with its work. */
  private void awaitWork(Path dataset, Process process) throws Exception {
    await(() -> Files.exists(dataset.resolve("_work")), process);
  }

  private void await(BooleanSupplier there, Process process) throws Exception {
    long end = System.nanoTime() + TimeUnit.MINUTES.toNanos(2);
    try (var watch = folder.getFileSystem().newWatchService()) {
      while (!there.getAsBoolean()) {
        assertThat(process.isAlive()).as(this::said).isTrue();
        assertThat(System.nanoTime()).as(this::said).isLessThan(end);
        var unused = watch.poll(100, TimeUnit.MILLISECONDS);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"INT", "TERM", "HUP"})
  void aJobStopsInGoodOrderAndLeavesNothing(String signal) throws Exception {
    Path dataset = folder.resolve("dataset");
    Path file = folder.resolve("result.json");
    Process process =
        kklip(
            "ingest",
            "--result",
            file.toString(),
            "--set",
            "dataset=" + dataset,
            "--set",
            "ingest.sources=[{format=synthetic, pairs=1000000}]");
    List<ProcessHandle> all;
    try {
      awaitWork(dataset, process);
      all = process.descendants().toList();
      Process kill =
          new ProcessBuilder("kill", "-" + signal, "--", "-" + process.pid()).inheritIO().start();
      assertThat(kill.waitFor()).isZero();
    } catch (Exception | AssertionError e) {
      process.descendants().forEach(ProcessHandle::destroyForcibly);
      process.destroyForcibly();
      throw e;
    }
    assertThat(end(process)).as(this::said).isEqualTo(143);
    assertThat(result().get("status").asText()).isEqualTo("stopped");
    assertThat(result().get("exit").asInt()).isEqualTo(143);
    assertThat(result().get("error").asText())
        .isEqualTo("Stopped as asked. Start the same command to go on.");
    assertThat(new ObjectMapper().readTree(file.toFile())).isEqualTo(result());
    assertThat(said())
        .endsWith("Stopped as asked. Start the same command to go on.\n")
        .doesNotContain("\tat ", "Exception", "FAILED");
    assertThat(temporary).isEmptyDirectory();
    assertThat(dataset.resolve("_leases")).doesNotExist();
    assertThat(all).isNotEmpty();
    for (ProcessHandle one : all) {
      one.onExit().get(30, TimeUnit.SECONDS);
    }
  }

  /** As spark-submit and schedulers start it: a virtual machine has statuses of its own. */
  @ParameterizedTest
  @ValueSource(strings = {"INT", "HUP"})
  void aDriverWithoutLauncherEndsWithTheStatusThatItTells(String signal) throws Exception {
    Path dataset = folder.resolve("dataset");
    Process process =
        start(
            List.of(
                ProcessHandle.current().info().command().orElseThrow(),
                "@conf/jvm.options",
                "-Dlog4j2.configurationFile=conf/log4j2.properties",
                "-cp",
                System.getProperty("java.class.path"),
                Main.class.getName()),
            "ingest",
            "--master",
            "local[1]",
            "--set",
            "dataset=" + dataset,
            "--set",
            "ingest.sources=[{format=synthetic, pairs=1000000}]");
    try {
      awaitWork(dataset, process);
      Process kill = new ProcessBuilder("kill", "-" + signal, Long.toString(process.pid())).start();
      assertThat(kill.waitFor()).isZero();
    } catch (Exception | AssertionError e) {
      process.destroyForcibly();
      throw e;
    }
    assertThat(end(process)).as(this::said).isEqualTo(143);
    assertThat(result().get("exit").asInt()).isEqualTo(143);
  }

  private static final int STEPS = 3000;
  private static final Pattern SHOWN = Pattern.compile("Progress: train: ([0-9,]+) of ");

  private Process train(Path output) throws IOException {
    List<String> words = new ArrayList<>(List.of("train"));
    for (String setting :
        List.of(
            "dataset=" + folder.resolve("dataset"),
            "student.config=tiny",
            "train.output=" + output,
            "train.ranks=2",
            "train.batch=16",
            "train.steps=" + STEPS,
            "train.loss.emb=0",
            "train.loss.concept=0",
            "train.log-every-steps=1",
            "train.checkpoint.every-steps=0")) {
      words.addAll(List.of("--set", setting));
    }
    return kklip(words.toArray(String[]::new));
  }

  /** The step of the newest progress line; -1 before the first. */
  private long shown() {
    Matcher line = SHOWN.matcher(said());
    long step = -1;
    while (line.find()) {
      step = Long.parseLong(line.group(1).replace(",", ""));
    }
    return step;
  }

  /** Steps in the metrics. */
  private static long reported(Path output) throws IOException {
    try (Stream<String> lines = Files.lines(output.resolve("metrics.jsonl"))) {
      return lines.count();
    }
  }

  /**
   * One run that is stopped in nine ways, one after the other. Without periodic checkpoints, so
   * that a step that the last checkpoint lacks is lost.
   */
  @Test
  @Tag("slow")
  void aTrainingThatIsStoppedInAnyWayGoesOnFromItsLastStep() throws Exception {
    Path dataset = folder.resolve("dataset");
    String[] pairs = {
      "--set",
      "dataset=" + dataset,
      "--set",
      "ingest.sources=[{format=synthetic, pairs=400}]",
      "--set",
      "tokenizer.vocab-size=600"
    };
    for (String job : List.of("ingest", "tokenizer")) {
      List<String> words = new ArrayList<>(List.of(job));
      words.addAll(List.of(pairs));
      assertThat(end(kklip(words.toArray(String[]::new)))).as(this::said).isZero();
    }
    Path straight = folder.resolve("straight");
    assertThat(end(train(straight))).as(this::said).isZero();

    Path stopped = folder.resolve("stopped");
    long before = 0;
    for (String signal : List.of("TERM", "INT", "HUP")) {
      for (String whom : List.of("launcher", "driver", "all")) {
        Process process = train(stopped);
        long seen = before;
        try {
          if (whom.equals("all")) {
            // What a person has seen must not be lost.
            long than = before;
            await(() -> shown() > than, process);
            seen = shown();
          } else {
            String begins = "training begins at step " + before + " of";
            await(() -> said().contains(begins), process);
          }
          long launcher = process.pid();
          long driver = process.children().findFirst().orElseThrow().pid();
          // Driver and executors are a session and a group of their own.
          List<String> targets =
              switch (whom) {
                case "launcher" -> List.of(Long.toString(launcher));
                case "driver" -> List.of(Long.toString(driver));
                default -> List.of("-" + launcher, "-" + driver);
              };
          List<String> command = new ArrayList<>(List.of("kill", "-" + signal, "--"));
          command.addAll(targets);
          assertThat(new ProcessBuilder(command).inheritIO().start().waitFor()).isZero();
        } catch (Exception | AssertionError e) {
          process.descendants().forEach(ProcessHandle::destroyForcibly);
          process.destroyForcibly();
          throw e;
        }
        assertThat(end(process)).as(signal + " to " + whom + ": " + said()).isEqualTo(143);
        long step = reported(stopped);
        assertThat(CheckpointStore.newestStep(stopped.toString(), new Configuration()))
            .as(signal + " to " + whom)
            .isEqualTo(step)
            .isGreaterThan(before)
            .isGreaterThanOrEqualTo(seen)
            .isLessThan(STEPS);
        assertThat(result().get("error").asText())
            .startsWith(
                "Stopped as asked after step "
                    + step
                    + ", with all that was learned in the checkpoint file:"
                    + stopped);
        assertThat(said()).doesNotContain("\tat ", "FAILED");
        assertThat(temporary).isEmptyDirectory();
        before = step;
      }
    }
    assertThat(end(train(stopped))).as(this::said).isZero();
    assertThat(result().get("first_step").asLong()).isEqualTo(before);
    assertThat(weights(stopped)).isEqualTo(weights(straight));
  }

  private static byte[] weights(Path output) throws IOException {
    try (Checkpoint checkpoint = CheckpointStore.newest(output.toString(), new Configuration())) {
      assertThat(checkpoint.state().step()).isEqualTo(STEPS);
      return Files.readAllBytes(checkpoint.folder().resolve(Checkpoint.MODEL));
    }
  }

  @Test
  void aRefusedJobLeavesNothing() throws Exception {
    Path dataset = folder.resolve("dataset");
    int status =
        end(
            kklip(
                "ingest",
                "--set",
                "dataset=" + dataset,
                "--set",
                "ingest.sources=[{format=folder, path=\"" + folder.resolve("none") + "\"}]"));
    assertThat(status).as(this::said).isEqualTo(2);
    assertThat(result().get("status").asText()).isEqualTo("refused");
    assertThat(said())
        .endsWith(result().get("error").asText() + "\n")
        .doesNotContain("\tat ", "Exception");
    assertThat(dataset).doesNotExist();
    assertThat(temporary).isEmptyDirectory();
  }

  @Test
  void helpNeedsNothingButJava() throws Exception {
    assertThat(end(kklip("train", "--help"))).as(this::said).isZero();
    assertThat(text("out")).contains("Usage: kklip train", "train.lr = 5.0E-5");
    assertThat(said()).isEmpty();
    assertThat(temporary).isEmptyDirectory();
  }
}
