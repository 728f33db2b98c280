package io.github.kklip.train.metrics;

import io.github.kklip.store.publication.Json;
import io.github.kklip.store.publication.Publication;
import io.github.kklip.store.publication.Storage;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * {@code metrics.jsonl}: one line of JSON for each logged step. Object stores cannot append, so the
 * lines are held and the whole file is published anew. Lines of steps that a resumed run does over
 * again are dropped.
 */
public final class MetricsLog {
  public static final String FILE = "metrics.jsonl";

  private final Configuration configuration;
  private final Path path;
  private final ByteArrayOutputStream lines = new ByteArrayOutputStream();

  private MetricsLog(Configuration configuration, Path path) {
    this.configuration = configuration;
    this.path = path;
  }

  /**
   * Goes on with the lines of the run in folder {@code output}.
   *
   * @param steps lines of later steps are dropped
   */
  static MetricsLog open(String output, Configuration configuration, long steps)
      throws IOException {
    Path path = new Path(Storage.path(output, configuration), FILE);
    MetricsLog log = new MetricsLog(configuration, path);
    try (BufferedReader reader =
        new BufferedReader(
            new InputStreamReader(
                Storage.of(configuration, path).open(path), StandardCharsets.UTF_8))) {
      for (String line = reader.readLine(); line != null; line = reader.readLine()) {
        if (Json.parse(line, StepReport.class).step() <= steps) {
          log.append(line);
        }
      }
    } catch (FileNotFoundException e) {
      // The run's first attempt.
    }
    return log;
  }

  /** Adds a line. */
  void add(StepReport report) {
    append(Json.line(report));
  }

  private void append(String line) {
    lines.writeBytes((line + "\n").getBytes(StandardCharsets.UTF_8));
  }

  /** All lines so far. */
  byte[] bytes() {
    return lines.toByteArray();
  }

  /** Writes what {@link #bytes} gave; not in the thread that adds, for it may take a while. */
  void publish(byte[] bytes) throws IOException {
    Publication.write(configuration, path, bytes);
  }
}
