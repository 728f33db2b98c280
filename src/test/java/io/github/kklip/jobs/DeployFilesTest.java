package io.github.kklip.jobs;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** What is deployed authenticates and encrypts Spark's calls. */
class DeployFilesTest {
  private static final Path DEPLOY = Path.of("deploy");

  private static final Map<String, String> SECURE =
      Map.of(
          "spark.authenticate", "true",
          "spark.network.crypto.enabled", "true",
          "spark.network.crypto.authEngineVersion", "2");

  /** The files that give Spark settings, with how often each gives all of these. */
  private static final Map<String, Integer> FILES =
      Map.of(
          "standalone/spark-defaults-gpu.conf", 1,
          "kubernetes/apache-sparkapplication.yaml", 1,
          "kubernetes/kubeflow-sparkapplication.yaml", 1,
          // Applications, and the shuffle service of the node managers.
          "emr/cluster.json", 2);

  /** The platform sets up Spark's security, or the cluster's own file does for its jobs. */
  private static final Set<String> ELSEWHERE =
      Set.of("databricks/databricks.yml", "emr/steps.json");

  /** {@code key value}, {@code key: value} or {@code "key": "value"}. */
  private static final Pattern SETTING =
      Pattern.compile("(?m)^[ \"]*(spark\\.[A-Za-z0-9.]+)\"?:? +\"?([^\"\\s,]+)\"?,?$");

  @Test
  void everyFileThatSetsSparkSetsItsSecurity() throws IOException {
    for (Map.Entry<String, Integer> file : FILES.entrySet()) {
      String text = Files.readString(DEPLOY.resolve(file.getKey()));
      Map<String, List<String>> found = new TreeMap<>();
      for (Matcher line = SETTING.matcher(text); line.find(); ) {
        if (SECURE.containsKey(line.group(1))) {
          found.merge(
              line.group(1),
              List.of(line.group(2)),
              (a, b) -> Stream.concat(a.stream(), b.stream()).toList());
        }
      }
      Map<String, List<String>> wanted = new TreeMap<>();
      SECURE.forEach(
          (key, value) ->
              wanted.put(key, Stream.generate(() -> value).limit(file.getValue()).toList()));
      assertThat(found).as(file.getKey()).isEqualTo(wanted);
    }
    assertThat(Files.readString(DEPLOY.resolve("databricks/databricks.yml")))
        .contains("# Databricks sets up Spark's own security");
  }

  /** A new file must not be forgotten, and a secret must not be written into one. */
  @Test
  void thereAreNoOtherFilesAndNoSecrets() throws IOException {
    Set<String> setSpark = new TreeSet<>();
    try (Stream<Path> files = Files.walk(DEPLOY)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        String text = Files.readString(file);
        assertThat(text)
            .as("%s", file)
            // Spark 4.0.1 then drops every message of a connection but the first: SPARK-56227.
            .doesNotContainPattern("(?m)^[^#`]*spark\\.network\\.crypto\\.cipher")
            .doesNotContainPattern("(?m)^[^#`]*spark\\.authenticate\\.secret[ =:\"]");
        boolean prose = file.toString().endsWith(".md");
        if (!prose
            && Pattern.compile("spark\\.(executor|task|dynamicAllocation)").matcher(text).find()) {
          setSpark.add(DEPLOY.relativize(file).toString());
        }
      }
    }
    Set<String> known = new TreeSet<>(FILES.keySet());
    known.addAll(ELSEWHERE);
    assertThat(setSpark).isEqualTo(known);
  }

  /** As Spark reads it: a key with a misspelt value would be its default. */
  @Test
  void sparkReadsItsOwnFile() throws IOException {
    Properties properties = new Properties();
    try (InputStream in =
        Files.newInputStream(DEPLOY.resolve("standalone/spark-defaults-gpu.conf"))) {
      properties.load(in);
    }
    SECURE.forEach((key, value) -> assertThat(properties).containsEntry(key, value));
  }
}
