package io.github.kklip.jobs;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MainTest {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  @Test
  void endsWithAResultLineAndTheSameInTheFile(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("result.json");
    int status = run("settings", "--set", "seed=7", "--result", file.toString());
    assertThat(status).isZero();
    assertThat(result().get("job").asText()).isEqualTo("settings");
    assertThat(result().get("seconds").asDouble()).isNotNegative();
    assertThat(result().get("settings").asText()).contains("seed=7");
    assertThat(new ObjectMapper().readTree(file.toFile())).isEqualTo(result());
  }

  @Test
  void reportsTheErrorOfAnUnknownJob() throws IOException {
    assertThat(run("trian")).isEqualTo(2);
    assertThat(result().get("error").asText())
        .startsWith("Cannot run the job trian: there is none of that name. The jobs are ");
  }

  @Test
  void reportsTheErrorOfAnUnknownOption() throws IOException {
    assertThat(run("settings", "--config", "x")).isEqualTo(2);
    assertThat(result().get("error").asText()).startsWith("Cannot use the argument --config");
  }

  @Test
  void reportsTheErrorOfAMissingValue() throws IOException {
    assertThat(run("settings", "--set")).isEqualTo(2);
    assertThat(result().get("error").asText()).isEqualTo("Cannot use --set: its value is missing.");
  }

  @Test
  void reportsTheErrorOfNoJob() throws IOException {
    assertThat(run()).isEqualTo(2);
    assertThat(result().get("error").asText()).startsWith("Cannot start without a job.");
  }

  @Test
  void anUnhealthyDoctorEndsWithStatusOneAndAllItFound() throws IOException {
    int status = run("doctor", "--master", "local[1]", "--set", "train.ranks=2");

    assertThat(status).isEqualTo(1);
    assertThat(result().get("healthy").asBoolean()).isFalse();
    assertThat(result().get("slots").asInt()).isEqualTo(1);
    assertThat(result().get("processes").get(0).get("where").asText()).isEqualTo("driver");
    String problem = result().get("problems").get(0).asText();
    assertThat(problem).startsWith("Cannot run 2 ranks with the master local[1] because");
    assertThat(result().get("error").asText())
        .startsWith("Training cannot be expected to work here because of this: " + problem);
  }

  @Test
  void aHealthyDoctorEndsWithStatusZero() throws IOException {
    assertThat(run("doctor", "--master", "local[1]")).isZero();
    assertThat(result().get("healthy").asBoolean()).isTrue();
    assertThat(result().has("error")).isFalse();
  }

  private int run(String... words) {
    return Main.run(List.of(words), new PrintStream(out, true, StandardCharsets.UTF_8));
  }

  private JsonNode result() throws IOException {
    String[] lines = out.toString(StandardCharsets.UTF_8).split("\n", -1);
    assertThat(lines[lines.length - 2]).startsWith("RESULT ");
    return new ObjectMapper().readTree(lines[lines.length - 2].substring("RESULT ".length()));
  }
}
