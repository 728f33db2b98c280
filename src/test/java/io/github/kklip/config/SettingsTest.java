package io.github.kklip.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SettingsTest {
  @Test
  void defaultsAreThoseOfThePaper() {
    Settings settings = Settings.load(List.of(), List.of());
    assertThat(settings.train().lr()).isEqualTo(5e-5);
    assertThat(settings.train().loss()).isEqualTo(new Settings.LossWeights(1, 0.01, 1));
    assertThat(settings.concepts().fixedTemperature()).isEmpty();
    assertThat(settings.ingest().maxBytes()).isEqualTo(64L << 20);
  }

  @Test
  void laterWins(@TempDir Path folder) throws IOException {
    Path first =
        Files.writeString(folder.resolve("a.conf"), "kklip { seed = 1, train { lr = 1 } }");
    Path second = Files.writeString(folder.resolve("b.conf"), "kklip.seed = 2");
    Settings settings =
        Settings.load(
            List.of(first, second),
            List.of("dataset=s3a://bucket/x:y", "train.lr=0.5", "train.lr=0.25"));
    assertThat(settings.seed()).isEqualTo(2);
    assertThat(settings.train().lr()).isEqualTo(0.25);
    assertThat(settings.dataset()).isEqualTo("s3a://bucket/x:y");
  }

  @Test
  void readsSourcesFromAnAssignment() {
    Settings settings =
        Settings.load(
            List.of(),
            List.of("ingest.sources=[{format=csv, path=\"/a/b.csv\", separator=\"\\t\"}]"));
    assertThat(settings.ingest().sources())
        .containsExactly(
            new Settings.Source(Settings.SourceFormat.CSV, "/a/b.csv", "", "", "\t", 2000, 1));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "train.bach=3 | Cannot use the setting kklip.train.bach: there is none of that name. Did"
            + " you mean kklip.train.batch?",
        "train.batch=0 | Cannot use kklip.train.batch = 0: it must be a whole number from 1 to"
            + " any.",
        "train.batch=many | Cannot read kklip.train.batch",
        "train.precision=float16 | Cannot use kklip.train.precision = float16: it must be float32"
            + " or bfloat16.",
        "teacher.pooling=max | it must be one of mean, mean-bos, last.",
        "teacher.name=a/b | Cannot use kklip.teacher.name = a/b",
        "concepts.target-perplexity=256 | it must be over 1 and under concepts.k = 256.",
        "train.loss={emb=0,concept=0,contrastive=0} | Cannot use kklip.train.loss.contrastive = 0",
        "ingest.sources=[{format=csv}] | Cannot use kklip.ingest.sources[0].path = : it must be the"
            + " path of the csv data.",
        "ingest.sources=[{format=csv,path=x,pth=y}] | Did you mean kklip.ingest.sources[0].path?",
        "evaluate.zero-shot=[{name=a,path=b,templates=[x]}] | a list of texts with {} where the"
            + " class goes",
        "train.rendezvous-timeout=0s | it must be a positive duration, such as 2 minutes.",
        "noequals | Cannot use --set noequals: it must be KEY=VALUE.",
      })
  void refusesWithTheKeyAndWhatIsAllowed(String assignment, String message) {
    assertThatThrownBy(() -> Settings.load(List.of(), List.of(assignment)))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining(message);
  }

  @Test
  void relativePathsAreThoseOfTheWorkingDirectory() {
    Settings settings =
        Settings.load(
            List.of(), List.of("dataset=a/../b", "train.output=hdfs://n/x", "student.config=tiny"));
    assertThat(settings.dataset()).isEqualTo(Path.of("b").toAbsolutePath().toString());
    assertThat(settings.train().output()).isEqualTo("hdfs://n/x");
    assertThat(settings.student().config()).isEqualTo("tiny");
  }

  @Test
  void refusesKeysOutsideKklip(@TempDir Path folder) throws IOException {
    Path file = Files.writeString(folder.resolve("a.conf"), "seed = 1");
    assertThatThrownBy(() -> Settings.load(List.of(file), List.of()))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("Cannot use the setting seed");
  }

  @Test
  void refusesAMissingFile() {
    assertThatThrownBy(() -> Settings.load(List.of(Path.of("/none.conf")), List.of()))
        .hasMessage(
            "Cannot read the configuration file /none.conf: there is no such readable file.");
  }
}
