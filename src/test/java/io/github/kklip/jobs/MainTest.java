package io.github.kklip.jobs;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.typesafe.config.ConfigFactory;
import io.github.kklip.store.publication.Lease;
import io.github.kklip.teacher.RandomLlama;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class MainTest {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();

  @TempDir private Path folder;

  private int run(String... words) {
    return Main.run(List.of(words), stream(out), stream(err));
  }

  private static PrintStream stream(ByteArrayOutputStream bytes) {
    return new PrintStream(bytes, true, StandardCharsets.UTF_8);
  }

  private String printed() {
    return out.toString(StandardCharsets.UTF_8);
  }

  private String said() {
    return err.toString(StandardCharsets.UTF_8);
  }

  private JsonNode result() throws IOException {
    String[] lines = printed().split("\n", -1);
    assertThat(lines[lines.length - 2]).startsWith("RESULT ");
    return new ObjectMapper().readTree(lines[lines.length - 2].substring("RESULT ".length()));
  }

  /** Refused: the message alone, in the RESULT line and to the person, and nothing else. */
  private void assertRefused(int status, String job, String error) throws IOException {
    assertThat(status).isEqualTo(2);
    assertThat(result().get("job").asText()).isEqualTo(job);
    assertThat(result().get("status").asText()).isEqualTo("refused");
    assertThat(result().get("exit").asInt()).isEqualTo(2);
    assertThat(result().get("error").asText()).startsWith(error);
    assertThat(said()).isEqualTo(result().get("error").asText() + "\n");
  }

  @Test
  void settingsPrintsWhatALaterJobCanLoad() throws IOException {
    Path file = folder.resolve("printed.conf");
    assertThat(run("settings", "--set", "seed=7", "--set", "train.lr=2e-3")).isZero();
    Files.writeString(file, printed());
    assertThat(ConfigFactory.parseFile(file.toFile()).getLong("kklip.seed")).isEqualTo(7);
    String first = printed();

    out.reset();
    assertThat(run("settings", "--conf", file.toString())).isZero();
    assertThat(printed()).isEqualTo(first);
  }

  @Test
  void settingsPrintsOnlyWhatDiffersWhenAsked() {
    assertThat(run("settings", "--changed", "--set", "seed=7", "--set", "threads=0")).isZero();
    assertThat(printed()).contains("seed").doesNotContain("threads", "lease-expiry");
    assertThat(ConfigFactory.parseString(printed()).getLong("kklip.seed")).isEqualTo(7);
  }

  @Test
  void theResultFileIsNewOrNotThere() throws IOException {
    Path file = folder.resolve("result.json");
    Files.writeString(file, "an earlier run's");
    assertThat(run("settings", "--result", file.toString())).isZero();
    JsonNode json = new ObjectMapper().readTree(file.toFile());
    assertThat(json.get("job").asText()).isEqualTo("settings");
    assertThat(json.get("status").asText()).isEqualTo("done");
    assertThat(json.get("exit").asInt()).isZero();
    assertThat(json.get("settings").asText()).isEqualTo(printed());
    assertThat(json.get("seconds").asDouble()).isNotNegative();
    assertThat(folder).isDirectoryContaining(file::equals);
    assertThat(folder.toFile().list()).hasSize(1);
  }

  @Test
  void aRefusedCommandLineReplacesAStaleResultFile() throws IOException {
    Path file = folder.resolve("result.json");
    Files.writeString(file, "an earlier run's");
    run("train", "--result", file.toString(), "--mastre", "local[1]");
    assertThat(new ObjectMapper().readTree(file.toFile())).isEqualTo(result());
  }

  @Test
  void aResultFileWithoutItsFolderIsRefusedAtOnce() throws IOException {
    Path file = folder.resolve("none").resolve("result.json");
    assertRefused(
        run("ingest", "--result", file.toString()),
        "ingest",
        "Cannot use --result " + file + " because there is no folder " + file.getParent() + ".");
  }

  @ParameterizedTest
  @CsvSource({"trian,train", "exprot,export", "setings,settings", "clutser,cluster"})
  void anUnknownJobIsAnsweredWithTheNearestName(String word, String near) throws IOException {
    assertRefused(
        run(word),
        word,
        "Cannot run the job "
            + word
            + ": there is none of that name. Did you mean "
            + near
            + "? The jobs are doctor, check, ingest, ");
  }

  @Test
  void anUnknownOptionIsAnsweredWithTheNearestName() throws IOException {
    assertRefused(
        run("settings", "--config", "x"),
        "settings",
        "Cannot use the argument --config: did you mean --conf? see kklip settings --help");
  }

  @Test
  void aMissingValueIsRefused() throws IOException {
    assertRefused(run("settings", "--set"), "settings", "Cannot use --set: its value is missing.");
  }

  @Test
  void noJobIsRefused() throws IOException {
    assertRefused(run(), "", "Cannot start without a job. Give one of doctor, ");
  }

  @Test
  void anUnhealthyDoctorEndsWithStatusOneAndAllItFound() throws IOException {
    int status = run("doctor", "--master", "local[1]", "--set", "train.ranks=2");

    assertThat(status).isEqualTo(1);
    assertThat(result().get("status").asText()).isEqualTo("failed");
    assertThat(result().get("healthy").asBoolean()).isFalse();
    assertThat(result().get("slots").asInt()).isEqualTo(1);
    assertThat(result().get("processes").get(0).get("where").asText()).isEqualTo("driver");
    String problem = result().get("problems").get(0).asText();
    assertThat(problem).startsWith("Cannot run 2 ranks with the master local[1] because");
    assertThat(result().get("error").asText()).contains(problem);
  }

  @Test
  void aHealthyDoctorEndsWithStatusZero() throws IOException {
    assertThat(run("doctor", "--master", "local[1]")).isZero();
    assertThat(result().get("healthy").asBoolean()).isTrue();
    assertThat(result().has("error")).isFalse();
  }

  @Test
  void cleanListsOrphansBeforeItsResultAndDeletesThemWhenTold() throws IOException {
    Path kept = Path.of("src/test/resources/format1");
    Path dataset = folder.resolve("data");
    try (Stream<Path> files = Files.walk(kept)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        Path to = dataset.resolve(kept.relativize(file).toString());
        Files.createDirectories(to.getParent());
        Files.copy(file, to);
      }
    }
    Files.delete(dataset.resolve("README"));
    Path orphan = dataset.resolve("pairs/1/train-00000-" + "0".repeat(32) + ".parquet");
    Files.createDirectories(orphan.getParent());
    Files.writeString(orphan, "12345");
    Files.setLastModifiedTime(orphan, FileTime.from(Instant.now().minus(Duration.ofDays(8))));
    Files.writeString(dataset.resolve("notes.txt"), "123");
    String set = "dataset=" + dataset;

    assertThat(run("clean", "--set", set)).isZero();
    assertThat(printed().lines().toList())
        .hasSize(3)
        .startsWith(
            "foreign 0.0 days 3 bytes notes.txt",
            "orphan 8.0 days 5 bytes " + dataset.relativize(orphan));
    assertThat(orphan).exists();
    assertThat(result().get("job").asText()).isEqualTo("clean");
    assertThat(result().get("orphans").asLong()).isEqualTo(1);
    assertThat(result().get("bytes").asLong()).isEqualTo(5);
    assertThat(result().get("deleted").asLong()).isZero();
    assertThat(result().get("foreign").asLong()).isEqualTo(1);
    assertThat(result().get("foreign_bytes").asLong()).isEqualTo(3);
    assertThat(result().has("lines")).isFalse();

    out.reset();
    assertThat(run("clean", "--yes", "--set", set)).isZero();
    assertThat(printed()).contains("\ndeleted 8.0 days 5 bytes " + dataset.relativize(orphan));
    assertThat(orphan).doesNotExist();
    assertThat(result().get("kinds").get("pairs").asLong()).isEqualTo(1);
    assertThat(result().get("deleted_bytes").asLong()).isEqualTo(5);
  }

  @Test
  void aWordThatIsNoOptionIsRefused() throws IOException {
    assertRefused(run("ingest", "please"), "ingest", "Cannot use the argument please: see ");
  }

  @Test
  void aFolderIsNoResultFileAndStays() throws IOException {
    assertRefused(
        run("ingest", "--result", folder.toString()),
        "ingest",
        "Cannot use --result " + folder + " because it is a folder.");
    assertThat(folder).isEmptyDirectory();
  }

  @Test
  void theDemoSaysWhatIsNotSet() throws IOException {
    assertThat(run("demo", "--set", "dataset=" + folder.resolve("dataset"))).isEqualTo(2);
    assertThat(result().get("problems").toString())
        .contains(
            "Cannot go on without kklip.train.output: it is empty.",
            "Cannot go on without kklip.evaluate.report: it is empty.");
  }

  @Test
  void aSubmissionThatIsRefusedReportsToo() throws IOException {
    Path file = folder.resolve("result.json");
    Files.writeString(file, "of another run");
    assertRefused(
        run("ingest", "--submit", "--master", "yarn", "--result", file.toString()),
        "ingest",
        "Cannot submit: only spark-jobs/kklip can");
    assertThat(new ObjectMapper().readTree(file.toFile())).isEqualTo(result());
  }

  @Test
  void whatIsForSparkSubmitNeedsSubmit() throws IOException {
    assertRefused(
        run("ingest", "--", "--deploy-mode", "cluster"), "ingest", "Cannot use what follows --:");
  }

  @Test
  void aWrongSettingEndsWithItsMessageAlone() throws IOException {
    assertRefused(
        run("train", "--set", "train.lr=-1"), "train", "Cannot use kklip.train.lr = -1: it must");
    assertThat(said()).doesNotContain("\tat ");
  }

  @Test
  void theStackTraceIsShownWhenAsked() {
    assertThat(run("train", "--set", "train.lr=-1", "--stacktrace")).isEqualTo(2);
    assertThat(said())
        .contains("Cannot use kklip.train.lr = -1: it must")
        .contains("\tat io.github.kklip.config.Settings");
  }

  @ParameterizedTest
  @ValueSource(strings = {"--help", "-h", "help"})
  void helpListsTheJobs(String word) {
    assertThat(run(word)).isZero();
    assertThat(printed())
        .startsWith("Usage: kklip JOB ")
        .contains("ingest      Reads sources, ", "settings    Prints ", "143 stopped")
        .doesNotContain("RESULT");
    assertThat(said()).isEmpty();
  }

  @Test
  void helpOfAJobListsItsSettingsWithDefaults() {
    assertThat(run("help", "ingest")).isZero();
    String help = printed();
    assertThat(help)
        .contains("--set=KEY=VALUE")
        .contains("  ingest.shard-rows = 2048              Rows of one shard.\n")
        .contains("  seed = 0 ")
        .doesNotContain("train.lr", "concepts.k", "One shard is one task");

    out.reset();
    assertThat(run("ingest", "--help")).isZero();
    assertThat(printed()).isEqualTo(help);
  }

  @Test
  void helpOfAnUnknownJobIsAnsweredWithTheNearestName() throws IOException {
    assertRefused(run("help", "ingset"), "help", "Cannot run the job ingset: ");
    assertThat(result().get("error").asText()).contains("Did you mean ingest?");
  }

  @Test
  void everyJobHasHelpAndKnownSettings() {
    String all = SettingsHelp.of(List.of(""), 100);
    Jobs.all()
        .forEach(
            (name, job) -> {
              out.reset();
              assertThat(run(name, "--help")).isZero();
              assertThat(printed()).contains(job.purpose());
              for (String key : job.settings()) {
                assertThat(all).as(name).containsPattern("(?m)^  " + key);
                assertThat(SettingsHelp.of(List.of(key), 100)).as(key).contains(" = ");
              }
            });
  }

  @Test
  void versionNamesTheBuild() {
    assertThat(run("--version")).isZero();
    assertThat(printed()).startsWith("kklip ").contains("Spark 4.", "Scala 2.13");
  }

  @Test
  void completionIsAScriptThatKnowsJobsAndSettings() {
    assertThat(run("completion")).isZero();
    assertThat(printed()).contains("complete -F", "doctor check ingest", "ingest.shard-rows=");
  }

  @Test
  void aHeldDatasetIsRefusedWithTheNameOfItsHolder() throws IOException {
    Path dataset = folder.resolve("dataset");
    try (Lease held =
        Lease.acquire(
            new Configuration(),
            new org.apache.hadoop.fs.Path(dataset.toUri()),
            "another",
            Duration.ofMinutes(1))) {
      assertRefused(
          ingest(dataset),
          "ingest",
          "Cannot write to file:" + dataset + " because the job another on");
      held.check();
    }
    assertThat(dataset).doesNotExist();
  }

  @Test
  void aRefusedJobLeavesNoFolderBehind() throws IOException {
    Path run = folder.resolve("run");
    assertRefused(
        run(
            "export",
            "--master",
            "local[1]",
            "--set",
            "train.output=" + run,
            "--set",
            "export.path=" + folder.resolve("some/export")),
        "export",
        "Cannot find a whole checkpoint in " + run);
    assertThat(folder).isEmptyDirectory();
  }

  @Test
  void ingestTellsOfTheRunAndOfTheDataset() throws IOException {
    Path dataset = folder.resolve("dataset");
    assertThat(ingest(dataset)).isZero();
    assertThat(result().get("status").asText()).isEqualTo("done");
    assertThat(result().get("pairs").asLong()).isEqualTo(40);
    assertThat(result().get("dataset_pairs").asLong()).isEqualTo(40);

    out.reset();
    assertThat(ingest(dataset)).isZero();
    assertThat(result().get("pairs").asLong()).isZero();
    assertThat(result().get("dataset_pairs").asLong()).isEqualTo(40);
    assertThat(result().get("dataset_train").asLong())
        .isEqualTo(40 - result().get("dataset_validation").asLong());
  }

  @Test
  void aStageThatFailsIsNamedWithTheResultsBeforeIt() throws IOException {
    Path teacher = folder.resolve("teacher");
    RandomLlama.write(teacher, 1, List.of("red", "circle"), 64, 1);
    Files.writeString(teacher.resolve("model.safetensors"), "no weights");
    int status =
        run(
            "run",
            "--master",
            "local[1]",
            "--set",
            "dataset=" + folder.resolve("dataset"),
            "--set",
            "ingest.sources=[{format=synthetic, pairs=20}]",
            "--set",
            "ingest.validation-fraction=0.2",
            "--set",
            "tokenizer.vocab-size=520",
            "--set",
            "concepts.k=8",
            "--set",
            "train.batch=4",
            "--set",
            "teacher.path=" + teacher,
            "--set",
            "train.output=" + folder.resolve("run"));
    assertThat(status).isEqualTo(1);
    assertThat(result().get("status").asText()).isEqualTo("failed");
    assertThat(result().get("error").asText()).contains("model.safetensors");
    assertThat(result().get("stage").asText()).isEqualTo("embed");
    assertThat(result().get("stages").get("ingest").get("pairs").asLong()).isEqualTo(40);
    assertThat(result().get("stages").get("tokenizer").get("vocab_size").asInt()).isEqualTo(520);
    assertThat(result().get("stages").get("tokenizer").get("seconds").asDouble()).isPositive();
  }

  @Test
  void whatIsMissingForALaterStageIsFoundBeforeTheFirst() throws IOException {
    int status =
        run(
            "run",
            "--set",
            "dataset=" + folder.resolve("dataset"),
            "--set",
            "ingest.sources=[{format=synthetic, pairs=20}]",
            "--set",
            "teacher.path=" + folder.resolve("no-teacher"),
            "--set",
            "train.output=" + folder.resolve("run"));
    assertThat(status).isEqualTo(2);
    assertThat(result().get("error").asText())
        .contains("Cannot read the folder file:" + folder.resolve("no-teacher"));
    assertThat(folder).isEmptyDirectory();
  }

  private int ingest(Path dataset) {
    return run(
        "ingest",
        "--master",
        "local[1]",
        "--set",
        "dataset=" + dataset,
        "--set",
        "ingest.sources=[{format=synthetic, pairs=20}]");
  }
}
