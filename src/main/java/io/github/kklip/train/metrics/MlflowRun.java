package io.github.kklip.train.metrics;

import static io.github.kklip.config.Message.message;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.kklip.comms.Collective;
import io.github.kklip.store.publication.Json;
import io.github.kklip.train.plan.Tracking;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A run on an MLflow server, over its REST API 2.0, on a thread of its own. Whatever goes wrong is
 * logged and never stops or slows the training. A resumed training goes on with the run that bears
 * its output as a tag.
 */
final class MlflowRun implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(MlflowRun.class);
  private static final Duration TIMEOUT = Duration.ofSeconds(10);
  private static final int QUEUE = 1000;
  private static final String OUTPUT_TAG = "kklip.output";

  private final Tracking tracking;
  private final Collective collective;
  private final HttpClient client = HttpClient.newBuilder().connectTimeout(TIMEOUT).build();
  private final ThreadPoolExecutor thread =
      new ThreadPoolExecutor(
          1,
          1,
          0,
          TimeUnit.SECONDS,
          new ArrayBlockingQueue<>(QUEUE),
          task -> {
            Thread worker = new Thread(task, "kklip-mlflow");
            worker.setDaemon(true);
            return worker;
          });

  /** Set, used and read on {@link #thread}; null: the server could not be reached. */
  private String runId;

  private boolean warned;

  /**
   * Finds or makes the run.
   *
   * @param collective must be whole when the server is told something: a rank that was stopped and
   *     continued tells nothing
   * @param output the run's folder
   * @param parameters settings to show
   */
  MlflowRun(
      Tracking tracking, Collective collective, String output, Map<String, String> parameters) {
    this.tracking = tracking;
    this.collective = collective;
    later(() -> open(output, parameters));
  }

  private interface MlflowTask {
    void run() throws IOException, InterruptedException;
  }

  private void later(MlflowTask task) {
    try {
      thread.execute(
          () -> {
            try {
              collective.check();
              task.run();
            } catch (IOException | RuntimeException e) {
              if (!warned) {
                warned = true;
                LOG.warn("Metrics do not reach MLflow at {}: {}", tracking.uri(), e.toString());
              }
            } catch (InterruptedException e) {
              Thread.currentThread().interrupt();
            }
          });
    } catch (RejectedExecutionException e) {
      LOG.debug("A message to MLflow is left out because the server is too slow.", e);
    }
  }

  private void open(String output, Map<String, String> parameters)
      throws IOException, InterruptedException {
    String experiment = experiment();
    JsonNode found =
        post(
            "runs/search",
            Map.of(
                "experiment_ids",
                List.of(experiment),
                "filter",
                "tags.`" + OUTPUT_TAG + "` = '" + output.replace("'", "") + "'",
                "max_results",
                1));
    long now = System.currentTimeMillis();
    if (!found.path("runs").isEmpty()) {
      String id = found.path("runs").path(0).path("info").path("run_id").asText();
      post("runs/update", Map.of("run_id", id, "status", "RUNNING"));
      runId = id;
      return;
    }
    JsonNode created =
        post(
            "runs/create",
            Map.of(
                "experiment_id",
                experiment,
                "start_time",
                now,
                "run_name",
                output.replaceAll(".*/(?=[^/])", ""),
                "tags",
                List.of(Map.of("key", OUTPUT_TAG, "value", output.replace("'", "")))));
    String id = created.path("run").path("info").path("run_id").asText();
    List<Map<String, String>> shown = new ArrayList<>();
    parameters.forEach((key, value) -> shown.add(Map.of("key", key, "value", value)));
    post("runs/log-batch", Map.of("run_id", id, "params", shown));
    runId = id;
  }

  private String experiment() throws IOException, InterruptedException {
    String name = tracking.experiment();
    HttpResponse<String> found =
        send(
            request(
                    "experiments/get-by-name?experiment_name="
                        + URLEncoder.encode(name, StandardCharsets.UTF_8))
                .GET()
                .build());
    if (found.statusCode() == 200) {
      return Json.parse(found.body(), JsonNode.class)
          .path("experiment")
          .path("experiment_id")
          .asText();
    }
    return post("experiments/create", Map.of("name", name)).path("experiment_id").asText();
  }

  /** Adds the metrics of a step. */
  void add(long milliseconds, long step, Map<String, Double> metrics) {
    List<Map<String, Object>> batch = new ArrayList<>();
    metrics.forEach(
        (key, value) ->
            batch.add(
                Map.of(
                    "key",
                    key,
                    // JSON has no NaN; MLflow takes these texts.
                    "value",
                    Double.isFinite(value) ? (Object) value : Double.toString(value),
                    "timestamp",
                    milliseconds,
                    "step",
                    step)));
    later(
        () -> {
          if (runId != null) {
            post("runs/log-batch", Map.of("run_id", runId, "metrics", batch));
          }
        });
  }

  /** Tells how the run ended. */
  void finish(boolean complete) {
    later(
        () -> {
          if (runId != null) {
            post(
                "runs/update",
                Map.of(
                    "run_id",
                    runId,
                    "status",
                    complete ? "FINISHED" : "KILLED",
                    "end_time",
                    System.currentTimeMillis()));
          }
        });
  }

  private JsonNode post(String method, Map<String, Object> body)
      throws IOException, InterruptedException {
    HttpResponse<String> response =
        send(
            request(method)
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(Json.line(body)))
                .build());
    if (response.statusCode() != 200) {
      throw new IOException(
          message(
              "%s was answered with status %s: %s",
              method, response.statusCode(), response.body()));
    }
    return Json.parse(response.body(), JsonNode.class);
  }

  private HttpRequest.Builder request(String method) {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create(tracking.uri() + "/api/2.0/mlflow/" + method))
            .timeout(TIMEOUT);
    if (!tracking.authorization().isEmpty()) {
      request.header("Authorization", tracking.authorization());
    }
    return request;
  }

  private HttpResponse<String> send(HttpRequest request) throws IOException, InterruptedException {
    return client.send(request, HttpResponse.BodyHandlers.ofString());
  }

  /** Waits a little for what is still to be sent. */
  @Override
  public void close() {
    thread.shutdown();
    try {
      if (!thread.awaitTermination(TIMEOUT.toSeconds(), TimeUnit.SECONDS)) {
        thread.shutdownNow();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      thread.shutdownNow();
    }
  }
}
