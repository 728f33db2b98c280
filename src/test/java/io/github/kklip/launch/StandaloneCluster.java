package io.github.kklip.launch;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A standalone master and its workers, each a process of its own, from the class path of the tests:
 * what can be killed without killing the test.
 */
public final class StandaloneCluster implements AutoCloseable {
  private static final Duration START = Duration.ofMinutes(2);
  private static final Pattern URL = Pattern.compile("Starting Spark master at (spark://\\S+)");
  private static final Pattern REGISTERED =
      Pattern.compile("(Successfully registered) with master");

  private final Path folder;
  private final Map<String, String> conf;
  private final Process master;
  private final String url;
  private final List<Process> workers = new ArrayList<>();

  /**
   * Starts it, and waits until all workers are known to the master.
   *
   * @param folder for logs and the work of executors
   */
  public StandaloneCluster(Path folder, int workers, int cores, int memoryMb) throws Exception {
    this(folder, workers, cores, memoryMb, Map.of());
  }

  /**
   * @param conf of master and workers
   */
  StandaloneCluster(Path folder, int workers, int cores, int memoryMb, Map<String, String> conf)
      throws Exception {
    this.folder = folder;
    this.conf = conf;
    Files.createDirectories(sparkHome().resolve("jars"));
    CompletableFuture<String> started = new CompletableFuture<>();
    master =
        daemon(
            "master",
            URL,
            started,
            "org.apache.spark.deploy.master.Master",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--webui-port",
            "0");
    try {
      url = started.get(START.toSeconds(), TimeUnit.SECONDS);
      for (int w = 0; w < workers; w++) {
        CompletableFuture<String> registered = new CompletableFuture<>();
        this.workers.add(
            daemon(
                "worker-" + w,
                REGISTERED,
                registered,
                "org.apache.spark.deploy.worker.Worker",
                "--host",
                "127.0.0.1",
                "--webui-port",
                "0",
                "--cores",
                Integer.toString(cores),
                "--memory",
                memoryMb + "m",
                "--work-dir",
                folder.resolve("work-" + w).toString(),
                url));
        registered.get(START.toSeconds(), TimeUnit.SECONDS);
      }
    } catch (Exception e) {
      close();
      throw e;
    }
  }

  /** Where the build makes Spark look for itself. */
  public static Path sparkHome() {
    return Path.of(System.getenv("SPARK_HOME"));
  }

  /** A Java virtual machine with the class path of the tests and what Spark needs of it. */
  public static List<String> java(String... words) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("@" + Path.of("conf", "jvm.options").toAbsolutePath());
    command.add("-cp");
    command.add(System.getProperty("java.class.path"));
    command.addAll(List.of(words));
    return command;
  }

  private Process daemon(
      String name,
      Pattern awaited,
      CompletableFuture<String> found,
      String mainClass,
      String... arguments)
      throws IOException {
    // Master and worker say in their logs when they are ready, and nowhere else.
    Path logging = folder.resolve("log4j2.properties");
    Files.writeString(
        logging,
        """
        rootLogger.level = info
        rootLogger.appenderRef.console.ref = console
        appender.console.type = Console
        appender.console.name = console
        appender.console.layout.type = PatternLayout
        appender.console.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n%ex
        """);
    List<String> command = java("-Xmx256m", "-Dlog4j2.configurationFile=" + logging.toUri());
    conf.forEach((key, value) -> command.add("-D" + key + "=" + value));
    command.add(mainClass);
    command.addAll(List.of(arguments));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    PrintStream log =
        new PrintStream(folder.resolve(name + ".log").toFile(), StandardCharsets.UTF_8);
    Thread reader =
        new Thread(
            () -> {
              try (log;
                  BufferedReader lines = process.inputReader(StandardCharsets.UTF_8)) {
                String line;
                while ((line = lines.readLine()) != null) {
                  log.println(line);
                  Matcher matcher = awaited.matcher(line);
                  if (matcher.find()) {
                    found.complete(matcher.group(1));
                  }
                }
                found.completeExceptionally(
                    new IOException(name + " has ended; see its log in " + folder));
              } catch (IOException e) {
                found.completeExceptionally(e);
              }
            },
            "log of " + name);
    reader.setDaemon(true);
    reader.start();
    return process;
  }

  /** To give as {@code spark.master}. */
  public String url() {
    return url;
  }

  /** The executors that run on a worker. */
  public List<ProcessHandle> executors(int worker) {
    return workers.get(worker).toHandle().descendants().filter(ProcessHandle::isAlive).toList();
  }

  /** Kills a worker with its executors, as the loss of a machine does. */
  public void loseMachine(int worker) {
    List<ProcessHandle> executors = executors(worker);
    workers.get(worker).destroyForcibly();
    executors.forEach(ProcessHandle::destroyForcibly);
  }

  @Override
  public void close() {
    List<Process> all = new ArrayList<>(workers);
    all.add(master);
    for (Process process : all) {
      List<ProcessHandle> children = process.toHandle().descendants().toList();
      process.destroyForcibly();
      children.forEach(ProcessHandle::destroyForcibly);
      process.onExit().orTimeout(20, TimeUnit.SECONDS).join();
    }
  }
}
