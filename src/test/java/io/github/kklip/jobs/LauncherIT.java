package io.github.kklip.jobs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.kklip.store.publication.NameEncoding;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
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
    return run(List.of(launcher.toString()), Map.of(), words);
  }

  private Ended run(List<String> program, Map<String, String> environment, String... words)
      throws Exception {
    Path log = folder.resolve("log");
    List<String> command = new ArrayList<>(program);
    command.addAll(List.of(words));
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile());
    builder.environment().put("JAVA_HOME", System.getProperty("java.home"));
    builder
        .environment()
        .put("TMPDIR", Files.createDirectories(folder.resolve("some tmp")).toString());
    builder.environment().putAll(environment);
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

  /** The class path and its main class, as a cluster's driver has them without the launcher. */
  private static List<String> java() throws IOException {
    return List.of(
        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
        "@" + Path.of("conf", "jvm.options").toAbsolutePath(),
        "-cp",
        Path.of("target/classes").toAbsolutePath()
            + ":"
            + Files.readString(Path.of("target/classpath.txt")).strip(),
        "io.github.kklip.jobs.Main");
  }

  /** One picture and its caption, with an accent in their names. */
  private Path accents() throws IOException {
    Path pairs = Files.createDirectories(folder.resolve("pairs"));
    BufferedImage image = new BufferedImage(32, 32, BufferedImage.TYPE_INT_RGB);
    assertThat(ImageIO.write(image, "png", pairs.resolve("caf\u00e9.png").toFile())).isTrue();
    Files.writeString(pairs.resolve("caf\u00e9.txt"), "a black square");
    assertThat(NameEncoding.problem()).as("tests run under UTF-8").isEmpty();
    return pairs;
  }

  private String[] ingest(String source, String... more) {
    List<String> words =
        new ArrayList<>(
            List.of(
                "ingest",
                "--set",
                "dataset=" + folder.resolve("dataset"),
                "--set",
                "ingest.sources=[" + source + "]"));
    words.addAll(List.of(more));
    return words.toArray(String[]::new);
  }

  private static String pairs(Path pairs) {
    return "{format=folder, path=\"" + pairs + "\"}";
  }

  private static void assertRefused(Ended ended, String... texts) {
    assertThat(ended.status).as(ended.log).isEqualTo(2);
    assertThat(ended.log).contains("\"status\":\"refused\",\"exit\":2").contains(texts);
  }

  @Test
  void namesWithAccentsAreReadWithoutALocale() throws Exception {
    Path launcher = install(folder.resolve("a b'c $x,\u00e9"));
    Ended ended =
        run(List.of(launcher.toString()), Map.of("LC_ALL", "C"), ingest(pairs(accents())));
    assertThat(ended.status).as(ended.log).isZero();
    assertThat(ended.log).contains("\"pairs\":1,\"rejects\":0");
  }

  @Test
  void withoutTheLauncherAMissingLocaleIsNamed() throws Exception {
    Map<String, String> posix = Map.of("LC_ALL", "C");
    String[] words = ingest(pairs(accents()), "--master", "local[1]");
    String why = "Set LC_ALL=C.UTF-8 in the environment";
    assertRefused(run(java(), posix, words), why, "ANSI_X3.4-1968 (sun.jnu.encoding)");
    // Arguments are changed on the way: nobody can tell what they were.
    assertRefused(
        run(java(), posix, ingest("{format=synthetic}", "--set", "teacher.path=/\u00e9")), why);
    Ended doctor = run(java(), posix, "doctor", "--master", "local[1]");
    assertThat(doctor.status).as(doctor.log).isEqualTo(1);
    assertThat(doctor.log).contains("driver: Cannot tell the names", "executor driver on ", why);
  }

  @Test
  void executorsWithoutALocaleReadNoLocalNames() throws Exception {
    Path launcher = install(folder.resolve("home"));
    Ended ended = run(launcher, ingest(pairs(accents()), "--spark", "spark.executorEnv.LC_ALL=C"));
    assertThat(ended.status).as(ended.log).isEqualTo(1);
    assertThat(ended.log).contains("\"status\":\"failed\"", "by spark.executorEnv.LC_ALL=C.UTF-8");
  }

  @Test
  void executorsThatEndAreNamedWithTheirLog() throws Exception {
    Path launcher = install(folder.resolve("home"));
    Ended ended =
        run(
            launcher,
            ingest(
                "{format=synthetic, pairs=20}",
                "--spark",
                "spark.executor.extraJavaOptions=no.such.Main"));
    assertThat(ended.status).as(ended.log).isEqualTo(1);
    assertThat(ended.log)
        .containsPattern("Cannot start executors because \\d+ processes have ended before")
        .contains("/stderr ends with:")
        .doesNotContain("Spark Executor Command")
        .contains("Could not find or load main class no.such.Main", "\"status\":\"failed\"");
  }

  @Test
  void foldersThatCannotBeUsedAreNamedBeforeSparkStarts() throws Exception {
    Path launcher = install(folder.resolve("home"));
    List<String> program = List.of(launcher.toString());
    String file = Files.writeString(folder.resolve("file"), "").toString();
    for (String job : List.of("check", "doctor", "ingest")) {
      assertRefused(
          run(program, Map.of("TMPDIR", file + "/tmp"), job),
          "\"job\":\"" + job + "\"",
          "Cannot use the temporary folder " + file + "/tmp because",
          "Set TMPDIR");
      assertRefused(
          run(program, Map.of("SPARK_LOCAL_DIRS", file), job),
          "of its local folders none can be used: " + file + " (",
          "Set SPARK_LOCAL_DIRS");
    }
    assertRefused(
        run(launcher, "doctor", "--spark", "spark.local.dir=" + file), "none can be used: " + file);
  }

  @Test
  void aLinkToTheLauncherIsTheLauncherAndOtherJavasAreNamed() throws Exception {
    Path launcher = install(folder.resolve("home"));
    Path link = Files.createSymbolicLink(folder.resolve("kklip"), launcher);
    Ended settings = run(link, "settings", "--changed", "--set", "seed=7");
    assertThat(settings.status).as(settings.log).isZero();
    assertThat(settings.log).contains("seed");

    Path java = folder.resolve("jdk/bin/java");
    Files.createDirectories(java.getParent());
    for (String version : List.of("11", "23")) {
      Files.writeString(java, "#!/bin/sh\necho 'openjdk version \"" + version + ".0.1\"' >&2\n");
      assertThat(java.toFile().setExecutable(true)).isTrue();
      assertRefused(
          run(
              List.of(link.toString()),
              Map.of("JAVA_HOME", folder.resolve("jdk").toString()),
              "doctor"),
          "Cannot run with " + java + " because it is Java " + version,
          "Set JAVA_HOME");
    }
    assertRefused(
        run(List.of(link.toString()), Map.of("JAVA_HOME", "/nowhere"), "doctor"),
        "Cannot run because /nowhere/bin/java is no Java that starts.");
  }

  @Test
  void aLowLimitOfOpenFilesIsNamed() throws Exception {
    Path launcher = install(folder.resolve("home"));
    assertRefused(
        run(
            List.of("bash", "-c", "ulimit -n 256; exec \"$@\"", "bash", launcher.toString()),
            Map.of(),
            "doctor"),
        "Cannot run with at most 256 open files (ulimit -Hn).");
  }

  /** A command in a machine of its own: {@code script} changes it, and goes on by {@code "$@"}. */
  private static List<String> machine(String script, Path launcher) throws Exception {
    List<String> unshare =
        List.of("unshare", "--user", "--map-root-user", "--uts", "--mount", "sh", "-euc");
    requireNamespaces(unshare, "mount -t tmpfs tmpfs /mnt");
    List<String> command = new ArrayList<>(unshare);
    command.addAll(List.of(script + " && exec \"$@\"", "sh", launcher.toString()));
    return command;
  }

  private static void requireNamespaces(List<String> command, String word) throws Exception {
    List<String> probe = new ArrayList<>(command);
    probe.add(word);
    Process process = new ProcessBuilder(probe).redirectErrorStream(true).start();
    process.getInputStream().readAllBytes();
    assumeTrue(process.waitFor() == 0, "this system lets nobody make namespaces");
  }

  @Test
  void aUserWithoutANameIsRefused() throws Exception {
    Path launcher = install(folder.resolve("home"));
    List<String> command = new ArrayList<>(List.of("unshare", "--user", "--map-user=54321"));
    requireNamespaces(command, "true");
    command.add(launcher.toString());
    for (String job : List.of("check", "doctor", "clean", "files pairs")) {
      List<String> words = new ArrayList<>(List.of(job.split(" ")));
      words.addAll(List.of("--set", "dataset=" + folder.resolve("dataset")));
      assertRefused(
          run(command, Map.of(), words.toArray(String[]::new)),
          "Cannot run as the user 54321 because it has no name here");
    }
  }

  @Test
  void aHostWithoutAnAddressAndLittleSharedMemoryWork() throws Exception {
    Path launcher = install(folder.resolve("home"));
    String script = "hostname no-such-host && mount -t tmpfs -o size=1m tmpfs /dev/shm";
    Ended ended = run(machine(script, launcher), Map.of(), "doctor", "--set", "train.ranks=2");
    assertThat(ended.status).as(ended.log).isZero();
    assertThat(ended.log).contains("\"healthy\":true", "\"slots\":2");
  }

  @Test
  void aTemporaryFolderThatIsNoexecOrFullIsNamed() throws Exception {
    Path launcher = install(folder.resolve("home"));
    Path tmp = Files.createDirectories(folder.resolve("mounted"));
    Map<String, String> environment = Map.of("TMPDIR", tmp.toString(), "WHERE", tmp.toString());
    assertRefused(
        run(machine("mount -t tmpfs -o noexec tmpfs \"$WHERE\"", launcher), environment, "doctor"),
        "Cannot load native libraries from the temporary folder " + tmp,
        "is mounted noexec. Set TMPDIR");
    assertRefused(
        run(machine("mount -t tmpfs -o size=1m tmpfs \"$WHERE\"", launcher), environment, "doctor"),
        "Cannot use the temporary folder " + tmp,
        "No space left on device");
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
