package io.github.kklip.jobs;

import static io.github.kklip.config.Message.message;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.kklip.config.SettingsException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.spark.sql.SparkSession;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs one job: {@code JOB [--conf FILE]... [--set KEY=VALUE]... [--master URL] [--spark
 * KEY=VALUE]... [--result FILE]}.
 *
 * <p>Ends with the line {@code RESULT {json}} on standard output, on failure too, then with {@code
 * error}. Exit status: 0 only when the job did all it was asked to, 1 when it failed, 2 when its
 * arguments or settings cannot be used, 143 when it was asked to stop (SIGTERM) and did so in good
 * order.
 */
public final class Main {
  private static final Logger LOG = LoggerFactory.getLogger(Main.class);

  /** What a process that SIGTERM ended has for its status. */
  private static final int STOPPED = 143;

  private Main() {}

  public static void main(String[] words) {
    int status = run(Arrays.asList(words), System.out);
    System.out.flush();
    if (SparkSessions.shared()) {
      // Databricks' driver outlives the job and takes an exit for a crash.
      if (status != 0) {
        throw new IllegalStateException(
            message("The job ended with status %s; see the RESULT line.", status));
      }
      return;
    }
    // Non-daemon threads of libraries must not keep a finished job alive.
    System.exit(status);
  }

  /**
   * Runs one job in a session that is there already, as a notebook has one, and leaves it open.
   *
   * @param words the job and its arguments, as on the command line
   * @return the fields of the RESULT line
   */
  public static Map<String, Object> run(SparkSession session, String... words) throws Exception {
    Arguments arguments = Arguments.parse(Arrays.asList(words));
    try (StopSignal stop = new StopSignal()) {
      return Jobs.make(arguments.job()).run(new JobContext(arguments, session, stop));
    }
  }

  /** Runs the job and returns the exit status. */
  static int run(List<String> words, PrintStream out) {
    try (StopSignal stop = new StopSignal()) {
      return run(words, out, stop);
    }
  }

  private static int run(List<String> words, PrintStream out, StopSignal stop) {
    long start = System.nanoTime();
    Map<String, Object> result = new LinkedHashMap<>();
    result.put("job", words.isEmpty() ? "" : words.get(0));
    Optional<Path> file = Optional.empty();
    int status;
    try {
      Arguments arguments = Arguments.parse(words);
      file = arguments.result();
      Job job = Jobs.make(arguments.job());
      try (JobContext context = new JobContext(arguments, stop)) {
        result.putAll(job.run(context));
      }
      status = result.containsKey("error") ? 1 : 0;
    } catch (SettingsException e) {
      LOG.error("{}", e.getMessage());
      result.put("error", e.getMessage());
      status = 2;
    } catch (StoppedException e) {
      LOG.warn("{}", e.getMessage());
      result.put("error", e.getMessage());
      status = STOPPED;
    } catch (Exception | LinkageError e) {
      LOG.error("The job failed.", e);
      result.put("error", String.valueOf(e.getMessage()));
      status = 1;
    }
    result.put("seconds", Math.round((System.nanoTime() - start) / 1e6) / 1e3);
    return report(result, file, out) ? status : 1;
  }

  private static boolean report(Map<String, Object> result, Optional<Path> file, PrintStream out) {
    try {
      String json = new ObjectMapper().writeValueAsString(result);
      out.println("RESULT " + json);
      if (file.isPresent()) {
        Files.write(file.get(), (json + "\n").getBytes(StandardCharsets.UTF_8));
      }
      return true;
    } catch (IOException e) {
      LOG.error("Cannot write the result.", e);
      return false;
    }
  }
}
