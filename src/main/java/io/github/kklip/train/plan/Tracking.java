package io.github.kklip.train.plan;

import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Map;

/**
 * The MLflow server that a run tells its metrics, from the driver's environment as MLflow's own
 * clients read it.
 *
 * @param uri {@code MLFLOW_TRACKING_URI}; empty: none
 * @param experiment {@code MLFLOW_EXPERIMENT_NAME}
 * @param authorization of {@code MLFLOW_TRACKING_TOKEN}, or {@code MLFLOW_TRACKING_USERNAME} and
 *     {@code MLFLOW_TRACKING_PASSWORD}; empty: none
 */
public record Tracking(String uri, String experiment, String authorization)
    implements Serializable {
  public static Tracking of(Map<String, String> environment) {
    String uri = environment.getOrDefault("MLFLOW_TRACKING_URI", "");
    String token = environment.getOrDefault("MLFLOW_TRACKING_TOKEN", "");
    String user = environment.getOrDefault("MLFLOW_TRACKING_USERNAME", "");
    String password = environment.getOrDefault("MLFLOW_TRACKING_PASSWORD", "");
    String authorization = "";
    if (!token.isEmpty()) {
      authorization = "Bearer " + token;
    } else if (!user.isEmpty()) {
      authorization =
          "Basic "
              + Base64.getEncoder()
                  .encodeToString((user + ":" + password).getBytes(StandardCharsets.UTF_8));
    }
    return new Tracking(
        // Other schemes name local stores, which only MLflow's Python client writes.
        uri.startsWith("http") ? uri.replaceAll("/+$", "") : "",
        environment.getOrDefault("MLFLOW_EXPERIMENT_NAME", "kklip"),
        authorization);
  }

  /** Without what authorises. */
  @Override
  public String toString() {
    return "Tracking[" + uri + ", " + experiment + "]";
  }
}
