package io.github.kklip.check;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.apache.spark.SparkConf;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HostChecksTest {
  @TempDir private Path folder;

  @Test
  void nothingIsWrongWhereTestsRun() {
    assertThat(HostChecks.of(new SparkConf())).isEmpty();
  }

  @Test
  void aUserWithoutANameIsToldHowToGetOne() throws IOException {
    Object id = Files.getAttribute(folder, "unix:uid");
    assertThat(HostChecks.user("somebody")).isEmpty();
    assertThat(HostChecks.user(null))
        .hasValueSatisfying(
            problem ->
                assertThat(problem)
                    .startsWith("Cannot run as the user " + id + " because it has no name here")
                    .contains("echo \"kklip:x:" + id + ":0::/tmp:/bin/sh\" >> /etc/passwd"));
  }

  @Test
  void aTemporaryFolderIsTriedAndLeftAsItWas() throws IOException {
    assertThat(HostChecks.temporaryFolder(folder)).isEmpty();
    try (Stream<Path> left = Files.list(folder)) {
      assertThat(left).isEmpty();
    }
    assertThat(HostChecks.temporaryFolder(folder.resolve("none")))
        .hasValueSatisfying(
            problem ->
                assertThat(problem)
                    .contains(folder.resolve("none").toString(), "Set TMPDIR to a folder"));
  }

  @Test
  void oneLocalFolderOfSparkIsEnough() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "");
    String good = folder.resolve("made/by/spark").toString();
    assertThat(HostChecks.localFolders(List.of(file.toString(), good))).isEmpty();
    assertThat(folder.resolve("made")).doesNotExist();
    assertThat(HostChecks.localFolders(List.of(file.toString(), file + "/below")))
        .hasValueSatisfying(
            problem ->
                assertThat(problem)
                    .contains(file + " (", file + "/below (", "Set SPARK_LOCAL_DIRS"));
  }
}
