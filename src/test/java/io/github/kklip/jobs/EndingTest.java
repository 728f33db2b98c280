package io.github.kklip.jobs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import io.github.kklip.concept.ConceptStage;
import io.github.kklip.config.SettingsException;
import io.github.kklip.embed.EmbedStage;
import io.github.kklip.eval.EvaluationSummary;
import io.github.kklip.eval.Recall;
import io.github.kklip.export.HuggingFaceExport;
import io.github.kklip.launch.Checkup;
import io.github.kklip.store.Split;
import io.github.kklip.text.StudentTokenizer;
import io.github.kklip.text.TokenizerException;
import io.github.kklip.tokenize.TokenizerStage;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.spark.SparkException;
import org.junit.jupiter.api.Test;

/** The RESULT line: its fields are read by other programs, so that their names and order stay. */
class EndingTest {
  private static String line(Record result) {
    return Results.line(result);
  }

  @Test
  void fieldsHaveTheNamesThatTheyAlwaysHad() {
    assertThat(line(new ConceptStage.ConceptResult(8, 3, 1.5, 0.25, 0.5, 4, 2, 7, "p", "o")))
        .isEqualTo(
            "{\"k\":8,\"iterations\":3,\"inertia\":1.5,\"seconds_per_iteration\":0.25,\"temperature\":0.5,"
                + "\"perplexity\":4.0,\"top_k\":2,\"labelled_shards\":7,\"page\":\"p\",\"output\":\"o\"}");
    assertThat(line(new EmbedStage.EmbedResult(8, 4, 2, 2, 64, "o")))
        .isEqualTo(
            "{\"captions\":8,\"embedded\":4,\"captions_per_s\":2.0,\"executors\":2,"
                + "\"captions_per_s_per_executor\":1.0,\"dimension\":64,\"output\":\"o\"}");
    assertThat(line(new TokenizerStage.TokenizerResult("o", 520, 9, 5, true)))
        .isEqualTo(
            "{\"captions\":9,\"words\":5,\"vocab_size\":520,\"reused\":true,\"output\":\"o\"}");
    assertThat(line(new HuggingFaceExport.ExportResult("p", "m", 12, List.of("h"))))
        .isEqualTo("{\"path\":\"p\",\"model\":\"m\",\"parameters\":12,\"heads\":[\"h\"]}");
    assertThat(
            line(
                new TrainSummary(
                    6, 2, 1.5, new TreeMap<>(Map.of("emb", 0.5)), 2.5, 1, 10, 0.125, "c")))
        .isEqualTo(
            "{\"steps\":6,\"first_step\":2,\"loss\":1.5,\"losses\":{\"emb\":0.5},\"logit_scale\":2.5,"
                + "\"skipped\":1,\"samples_per_s\":10.0,\"data_wait\":0.125,\"checkpoint\":\"c\"}");
    assertThat(
            line(
                new EvaluationSummary(
                    "m",
                    Split.TEST,
                    3,
                    6,
                    new EvaluationSummary.RetrievalSummary(
                        new Recall(0.25, 0.5, 1), new Recall(0, 0.5, 0.75)),
                    new TreeMap<>(Map.of("shapes", new EvaluationSummary.Accuracy(0.5, 1))),
                    "r")))
        .isEqualTo(
            "{\"model\":\"m\",\"split\":\"test\",\"images\":3,\"captions\":6,\"retrieval\":{\"image_to_text\":"
                + "{\"r1\":0.25,\"r5\":0.5,\"r10\":1.0},\"text_to_image\":{\"r1\":0.0,\"r5\":0.5,\"r10\":0.75}},"
                + "\"zero_shot\":{\"shapes\":{\"top1\":0.5,\"top5\":1.0}},\"report\":\"r\"}");
  }

  @Test
  void anUnhealthyDoctorFailsWithAllItFound() {
    DoctorSummary found =
        new DoctorSummary(
            false,
            List.of("No room."),
            "4.0.1",
            "2.13",
            "local[1]",
            1,
            List.of(
                new Checkup("driver", "17", 2, 100, 200, "2.7.1", 2, "cpu", 0, List.of("hidden"))));
    Ending ending = Ending.of("doctor", new DoctorJob(), found, 1.5);
    assertThat(ending.exit()).isEqualTo(1);
    assertThat(Results.line(ending))
        .isEqualTo(
            "{\"job\":\"doctor\",\"status\":\"failed\",\"exit\":1,\"healthy\":false,\"problems\":[\"No room.\"],"
                + "\"spark\":\"4.0.1\",\"scala\":\"2.13\",\"master\":\"local[1]\",\"slots\":1,\"processes\":"
                + "[{\"where\":\"driver\",\"java\":\"17\",\"processors\":2,\"heap_mb\":100,\"memory_mb\":200,"
                + "\"libtorch\":\"2.7.1\",\"threads\":2,\"device\":\"cpu\",\"gpus\":0}],\"error\":\"Training cannot be"
                + " expected to work here because of this: No room.\",\"seconds\":1.5}");
  }

  @Test
  void whatAPersonHasToChangeIsRefusedAndTheRestFails() {
    assertThat(ended(new SettingsException("Cannot."))).isEqualTo(Status.REFUSED);
    Throwable noTokenizer = catchThrowable(() -> StudentTokenizer.load(Path.of("/none")));
    assertThat(noTokenizer).isInstanceOf(TokenizerException.class);
    assertThat(ended(noTokenizer)).isEqualTo(Status.REFUSED);
    assertThat(ended(new RefusedException("run", List.of("a", "b")))).isEqualTo(Status.REFUSED);
    assertThat(ended(new StoppedException("Stopped."))).isEqualTo(Status.STOPPED);
    assertThat(ended(new IOException("Cannot."))).isEqualTo(Status.FAILED);
    assertThat(ended(new StageFailedException("embed", Map.of(), new SettingsException("Cannot."))))
        .isEqualTo(Status.REFUSED);
  }

  private static Status ended(Throwable e) {
    return Ending.of("run", e, false, 0).status();
  }

  @Test
  void allProblemsThatWereFoundBeforeAreListed() {
    Ending ending =
        Ending.of("run", new RefusedException("run", List.of("One.", "Two.")), false, 0);
    assertThat(ending.problems()).containsExactly("One.", "Two.");
    assertThat(ending.error()).isEqualTo("Cannot run the job run: - One. - Two.");
    assertThat(Ending.text(new RefusedException("run", List.of("One.", "Two."))))
        .isEqualTo("Cannot run the job run:\n- One.\n- Two.");
  }

  @Test
  void whatAJobThrowsAfterARequestToStopIsTheStop() {
    Ending ending =
        Ending.of(
            "demo",
            new StageFailedException(
                "cluster", Map.of(), new IllegalStateException("Job 3 cancelled")),
            true,
            0);
    assertThat(ending.exit()).isEqualTo(143);
    assertThat(ending.stage()).isEqualTo("cluster");
    assertThat(ending.error()).isEqualTo("Stopped as asked. Start the same command to go on.");
  }

  @Test
  void theCauseOfAFailedTaskIsNamedOnceInOneLine() {
    Throwable thrown =
        new SparkException(
            "Job aborted due to stage failure: Task 0 in stage 1.0 failed 4 times\n\tat x\n",
            new UncheckedIOException(new IOException("Cannot read a shard.\nIt is cut short.")));
    Ending ending = Ending.of("train", thrown, false, 0);
    assertThat(ending.status()).isEqualTo(Status.FAILED);
    assertThat(ending.error()).isEqualTo("Cannot read a shard. It is cut short.");
  }
}
