package io.github.kklip.jobs;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
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
    copy("target/classpath.txt", home);
    Files.createSymbolicLink(
        home.resolve("target/classes"), Path.of("target/classes").toAbsolutePath());
    // Newer than the sources: nothing is built.
    Files.createFile(home.resolve("target/classes.stamp"));
    return home.resolve("spark-jobs/kklip");
  }

  private static void copy(String name, Path home) throws IOException {
    Files.createDirectories(home.resolve(name).getParent());
    Files.copy(Path.of(name), home.resolve(name));
    assertThat(home.resolve(name).toFile().setExecutable(Files.isExecutable(Path.of(name))))
        .isTrue();
  }

  @Test
  void runsFromAPathWithSpacesAndQuotes() throws Exception {
    Path home = folder.resolve("it's a \"kklip\" home");
    Path temporary = Files.createDirectories(home.resolve("some tmp"));
    Path log = folder.resolve("log");
    ProcessBuilder builder =
        new ProcessBuilder(
                install(home).toString(),
                "ingest",
                "--set",
                "dataset=" + folder.resolve("a data set"),
                "--set",
                "ingest.sources=[{format=synthetic, pairs=20}]")
            .redirectErrorStream(true)
            .redirectOutput(log.toFile());
    builder.environment().put("JAVA_HOME", System.getProperty("java.home"));
    builder.environment().put("TMPDIR", temporary.toString());
    Process launcher = builder.start();
    boolean ended;
    try {
      ended = launcher.waitFor(2, TimeUnit.MINUTES);
    } finally {
      launcher.descendants().forEach(ProcessHandle::destroyForcibly);
      launcher.destroyForcibly();
    }
    assertThat(ended).as("the job came to its end:%n%s", Files.readString(log)).isTrue();
    assertThat(launcher.exitValue()).as("%s", Files.readString(log)).isZero();
    assertThat(log).content().contains("RESULT {\"job\":\"ingest\",");
    assertThat(folder.resolve("a data set/manifest.json")).isRegularFile();
  }
}
