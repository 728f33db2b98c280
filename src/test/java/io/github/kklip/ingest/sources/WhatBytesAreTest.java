package io.github.kklip.ingest.sources;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.config.Settings;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.GZIPOutputStream;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Every reader says what a file is that is not of its format, and never to delete it. */
final class WhatBytesAreTest {
  private static final String POINTER =
      "version https://git-lfs.github.com/spec/v1\noid sha256:"
          + "4d7a".repeat(16)
          + "\nsize 12345\n";

  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(strings = {"webdataset", "parquet"})
  void aPointerOfGitLfs(String format) throws IOException {
    Problem problem = problem(format, POINTER.getBytes(StandardCharsets.UTF_8));

    assertThat(problem.reason()).isEqualTo(Problem.UNREADABLE);
    assertThat(problem.detail())
        .contains("it is a Git LFS pointer: run git lfs pull in the folder it came from")
        .doesNotContain("Remove");
  }

  @ParameterizedTest
  @ValueSource(strings = {"webdataset", "parquet"})
  void aPageOfAServer(String format) throws IOException {
    Problem problem =
        problem(format, "<!DOCTYPE html><html>Sign in".getBytes(StandardCharsets.UTF_8));

    assertThat(problem.detail()).contains("it is an HTML page").doesNotContain("Remove");
  }

  @Test
  void whatIsInsideGzip() throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (GZIPOutputStream gzip = new GZIPOutputStream(bytes)) {
      gzip.write("{\"captions\": []}".getBytes(StandardCharsets.UTF_8));
    }

    assertThat(problem("webdataset", bytes.toByteArray()).detail()).contains("it is JSON text");
  }

  @Test
  void aParquetFileThatIsCutShort() throws IOException {
    Problem problem = problem("parquet", "PAR1 and so on".getBytes(StandardCharsets.UTF_8));

    assertThat(problem.reason()).isEqualTo(Problem.UNREADABLE);
    assertThat(problem.detail())
        .contains("it is not a whole Parquet file")
        .contains("Get it again")
        .doesNotContain("Remove");
  }

  private Problem problem(String format, byte[] bytes) throws IOException {
    Path file = Files.write(folder.resolve("file"), bytes);
    Settings settings =
        Settings.load(
            List.of(),
            List.of(
                "ingest.sources=[{format = " + format + ", path = \"" + file + "\"}]",
                "dataset=" + folder.resolve("data")));
    SourceReader reader = SourceFormats.reader(settings.ingest().sources().get(0), settings);
    Configuration configuration = new Configuration(false);
    List<Problem> problems = new ArrayList<>();
    for (Unit unit : reader.plan(configuration, Unit.whole(0, file.toString()))) {
      try (Members members = reader.open(configuration, unit)) {
        for (Member member = members.next(); member != null; member = members.next()) {
          problems.addAll(member.problems());
        }
      }
    }
    assertThat(problems).hasSize(1);
    return problems.get(0);
  }
}
