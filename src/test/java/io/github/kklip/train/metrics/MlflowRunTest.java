package io.github.kklip.train.metrics;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.github.kklip.comms.SoloCollective;
import io.github.kklip.store.publication.Json;
import io.github.kklip.train.TinyDataset;
import io.github.kklip.train.plan.Tracking;
import io.github.kklip.train.plan.TrainPlan;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Against a server that speaks as much of MLflow's REST API as a run needs. */
class MlflowRunTest {
  @TempDir private Path temporary;

  private final List<String> methods = Collections.synchronizedList(new ArrayList<>());
  private final List<JsonNode> bodies = Collections.synchronizedList(new ArrayList<>());
  private final List<String> runs = Collections.synchronizedList(new ArrayList<>());
  private HttpServer server;
  private volatile boolean broken;

  @BeforeEach
  void start() throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext("/api/2.0/mlflow/", this::answer);
    server.start();
  }

  @AfterEach
  void stop() {
    server.stop(0);
  }

  private void answer(HttpExchange exchange) throws IOException {
    try (exchange) {
      String method = exchange.getRequestURI().getPath().substring("/api/2.0/mlflow/".length());
      String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
      methods.add(method);
      bodies.add(Json.parse(body.isEmpty() ? "{}" : body, JsonNode.class));
      boolean allowed =
          "Bearer open sesame".equals(exchange.getRequestHeaders().getFirst("Authorization"));
      String answer =
          switch (method) {
            case "experiments/create" -> "{\"experiment_id\": \"7\"}";
            case "runs/search" ->
                runs.isEmpty()
                    ? "{}"
                    : "{\"runs\": [{\"info\": {\"run_id\": \"" + runs.get(0) + "\"}}]}";
            case "runs/create" -> {
              runs.add("run-" + runs.size());
              yield "{\"run\": {\"info\": {\"run_id\": \"" + runs.get(0) + "\"}}}";
            }
            default -> "{}";
          };
      int status = broken || !allowed ? 500 : method.startsWith("experiments/get") ? 404 : 200;
      byte[] bytes = answer.getBytes(StandardCharsets.UTF_8);
      exchange.sendResponseHeaders(status, bytes.length);
      exchange.getResponseBody().write(bytes);
    }
  }

  private Tracking tracking() {
    return Tracking.of(
        Map.of(
            "MLFLOW_TRACKING_URI",
            "http://127.0.0.1:" + server.getAddress().getPort() + "/",
            "MLFLOW_TRACKING_TOKEN",
            "open sesame"));
  }

  @Test
  void aRunAndItsContinuationAreOneRun() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 40);
    TrainPlan plan = data.plan(temporary.resolve("run"), "train.steps=3").with(tracking());
    AtomicInteger asked = new AtomicInteger();
    TinyDataset.train(plan, new SoloCollective(), () -> asked.incrementAndGet() == 2);
    assertThat(TinyDataset.train(plan, new SoloCollective(), () -> false).complete()).isTrue();
    assertThat(runs).containsExactly("run-0");
    assertThat(methods)
        .containsExactly(
            "experiments/get-by-name",
            "experiments/create",
            "runs/search",
            "runs/create",
            "runs/log-batch",
            "runs/log-batch",
            "runs/log-batch",
            "runs/update",
            "experiments/get-by-name",
            "experiments/create",
            "runs/search",
            "runs/update",
            "runs/log-batch",
            "runs/update");
    JsonNode parameters = bodies.get(4).path("params");
    assertThat(parameters.toString()).contains("{\"key\":\"train.lr\",\"value\":\"0.001\"}");
    JsonNode metrics = bodies.get(5).path("metrics");
    assertThat(metrics.findValuesAsText("key"))
        .contains("loss", "loss/contrastive", "logit_scale", "samples_per_second", "data_wait");
    assertThat(metrics.path(0).path("step").asInt()).isEqualTo(1);
    assertThat(bodies.get(7).path("status").asText()).isEqualTo("KILLED");
    assertThat(bodies.get(13).path("status").asText()).isEqualTo("FINISHED");
  }

  @Test
  void aBrokenServerStopsNothing() throws Exception {
    broken = true;
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 40);
    TrainPlan plan = data.plan(temporary.resolve("run"), "train.steps=3").with(tracking());
    assertThat(TinyDataset.train(plan, new SoloCollective(), () -> false).complete()).isTrue();
    assertThat(methods).contains("experiments/create");
  }

  @Test
  void onlyServersAreTold() {
    assertThat(Tracking.of(Map.of()).uri()).isEmpty();
    assertThat(Tracking.of(Map.of("MLFLOW_TRACKING_URI", "file:///mlruns")).uri()).isEmpty();
    Tracking tracking =
        Tracking.of(
            Map.of(
                "MLFLOW_TRACKING_URI", "https://mlflow/",
                "MLFLOW_TRACKING_USERNAME", "ann",
                "MLFLOW_TRACKING_PASSWORD", "secret"));
    assertThat(tracking.uri()).isEqualTo("https://mlflow");
    assertThat(tracking.authorization()).isEqualTo("Basic YW5uOnNlY3JldA==");
    assertThat(tracking.toString()).doesNotContain("YW5u");
  }
}
