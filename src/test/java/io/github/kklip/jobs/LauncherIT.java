package io.github.kklip.jobs;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** spark-jobs/kklip as a process, with an executor that is one too. */
class LauncherIT {
  @TempDir private Path folder;

  /** What the launcher needs of the project, built already. */
  private Path install(Path home) throws IOException {
    for (String name : List.of("spark-jobs/kklip", "conf/jvm.options", "conf/log4j2.properties")) {
      copy(name, home);
    }
    Files.createDirectories(home.resolve("src/main"));
    copy("pom.xml", home);
    // Newer than the sources: nothing is built.
    copy("target/classpath.txt", home);
    Files.createSymbolicLink(
        home.resolve("target/classes"), Path.of("target/classes").toAbsolutePath());
    return home.resolve("spark-jobs/kklip");
  }

  private static void copy(String name, Path home) throws IOException {
    Files.createDirectories(home.resolve(name).getParent());
    Files.copy(Path.of(name), home.resolve(name));
    assertThat(home.resolve(name).toFile().setExecutable(Files.isExecutable(Path.of(name))))
        .isTrue();
  }

  /** How a job ended, and what it said. */
  private record Ended(int status, String log) {}

  private Ended run(Path launcher, String... words) throws Exception {
    Path log = folder.resolve("log");
    List<String> command = new ArrayList<>(List.of(launcher.toString()));
    command.addAll(List.of(words));
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile());
    builder.environment().put("JAVA_HOME", System.getProperty("java.home"));
    builder
        .environment()
        .put("TMPDIR", Files.createDirectories(folder.resolve("some tmp")).toString());
    Process process = builder.start();
    boolean ended;
    try {
      ended = process.waitFor(2, TimeUnit.MINUTES);
    } finally {
      process.descendants().forEach(ProcessHandle::destroyForcibly);
      process.destroyForcibly();
    }
    assertThat(ended).as("the job came to its end:%n%s", Files.readString(log)).isTrue();
    return new Ended(process.exitValue(), Files.readString(log));
  }

  @Test
  void runsFromAPathWithSpacesAndTellsAFailingTaskOnce() throws Exception {
    Path launcher = install(folder.resolve("it's a \"kklip\" home"));
    Path dataset = folder.resolve("a data set");
    Ended ingest =
        run(
            launcher,
            "ingest",
            "--set",
            "dataset=" + dataset,
            "--set",
            "ingest.sources=[{format=synthetic, pairs=20}]");
    assertThat(ingest.status).as(ingest.log).isZero();
    assertThat(ingest.log).contains("RESULT {\"job\":\"ingest\",");
    assertThat(dataset.resolve("_manifests/000000001.json")).isRegularFile();

    Path shard;
    try (Stream<Path> shards = Files.list(dataset.resolve("pairs/1"))) {
      shard = shards.filter(p -> p.toString().contains("train-00000-")).findFirst().orElseThrow();
    }
    byte[] bytes = Files.readAllBytes(shard);
    Files.write(shard, Arrays.copyOf(bytes, bytes.length / 2));
    Ended tokenizer = run(launcher, "tokenizer", "--set", "dataset=" + dataset);
    assertThat(tokenizer.status).as(tokenizer.log).isEqualTo(1);
    List<String> said = tokenizer.log.lines().filter(line -> !line.startsWith("RESULT ")).toList();
    assertThat(said).as(tokenizer.log).hasSizeLessThan(10);
    assertThat(said).filteredOn(line -> line.contains("train-00000-")).hasSize(1);
    assertThat(said).noneMatch(line -> line.startsWith("\tat "));
  }
}
