package io.github.kklip.eval;

import static io.github.kklip.config.Message.message;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import io.github.kklip.store.publication.Json;
import io.github.kklip.store.publication.Storage;
import java.io.BufferedReader;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * The loss curves of a run, from its {@code metrics.jsonl}.
 *
 * @param steps of the logged lines
 * @param losses by name; {@code loss} is the weighted sum, the others are unweighted parts
 */
public record History(double[] steps, Map<String, double[]> losses) {
  private static final String FILE = "metrics.jsonl";

  /** A run without metrics. */
  static final History NONE = new History(new double[0], Map.of());

  /**
   * Reads the metrics of a run; without any, as for a model from elsewhere, the history is empty.
   *
   * @param model the run's folder, or a checkpoint within it
   */
  public static History read(String model, Configuration configuration) throws IOException {
    Path run = Storage.path(model, configuration);
    for (int up = 0; run != null && up < 3; up++, run = run.getParent()) {
      try (BufferedReader lines =
          new BufferedReader(
              new InputStreamReader(
                  Storage.of(configuration, run).open(new Path(run, FILE)),
                  StandardCharsets.UTF_8))) {
        return parse(lines.lines().toList());
      } catch (FileNotFoundException e) {
        // A checkpoint stands two folders below its run.
      }
    }
    return NONE;
  }

  static History parse(List<String> lines) {
    List<JsonNode> nodes = new ArrayList<>();
    for (String line : lines) {
      try {
        nodes.add(Json.tree(line));
      } catch (JsonProcessingException e) {
        throw new IllegalArgumentException(
            message("Cannot read metrics because a line is not JSON: %s", line), e);
      }
    }
    double[] steps = nodes.stream().mapToDouble(node -> node.path("step").asDouble()).toArray();
    Map<String, double[]> losses = new TreeMap<>();
    for (int i = 0; i < steps.length; i++) {
      put(losses, "loss", nodes.get(i).path("loss"), i, steps.length);
      int at = i;
      nodes
          .get(i)
          .path("losses")
          .properties()
          .forEach(part -> put(losses, part.getKey(), part.getValue(), at, steps.length));
    }
    return new History(steps, losses);
  }

  private static void put(
      Map<String, double[]> losses, String name, JsonNode value, int at, int length) {
    double[] curve =
        losses.computeIfAbsent(
            name,
            key -> {
              double[] gaps = new double[length];
              java.util.Arrays.fill(gaps, Double.NaN);
              return gaps;
            });
    curve[at] = value.isNumber() ? value.asDouble() : Double.NaN;
  }
}
