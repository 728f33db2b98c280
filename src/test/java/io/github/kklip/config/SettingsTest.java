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
    assertThat(settings.train().schedule().lr()).isEqualTo(5e-5);
    assertThat(settings.train().loss().emb()).isEqualTo(1);
    assertThat(settings.train().loss().concept()).isEqualTo(0.01);
    assertThat(settings.train().loss().contrastive()).isEqualTo(1);
    assertThat(settings.concepts().labels().fixedTemperature()).isEmpty();
    assertThat(settings.ingest().images().maxBytes()).isEqualTo(64L << 20);
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
    assertThat(settings.train().schedule().lr()).isEqualTo(0.25);
    assertThat(settings.dataset()).isEqualTo("s3a://bucket/x:y");
  }

  @Test
  void readsSourcesFromAnAssignment() {
    Settings settings =
        Settings.load(
            List.of(),
            List.of("ingest.sources=[{format=csv, path=\"/a/b.csv\", separator=\"\\t\"}]"));
    assertThat(settings.ingest().sources())
        .singleElement()
        .hasToString(
            "SourceSettings[format=CSV, path=/a/b.csv, imageColumn=, captionColumn=, captions=AUTO, imageRoot=,"
                + " separator=\t, quote=auto, escape=, header=true, encoding=auto, pairs=2000, weight=1.0, split=AUTO, followLinks=false,"
                + " imageContent=AUTO, imageIndex=, table=, query=, idColumn=]");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "train.bach=3 | Cannot use the setting kklip.train.bach: there is none of that name. Did"
            + " you mean kklip.train.batch?",
        "train.batch=0 | Cannot use kklip.train.batch = 0: it must be a whole number of at"
            + " least 1.",
        "train.batch=many | Cannot use kklip.train.batch = many: it must be a whole number of at least 1.",
        "train.precision=float16 | Cannot use kklip.train.precision = float16: it must be one of"
            + " float32, bfloat16.",
        "teacher.pooling=max | it must be one of mean, mean-bos, last.",
        "teacher.name=a/b | Cannot use kklip.teacher.name = a/b",
        "concepts.target-perplexity=256 | it must be over 1 and under concepts.k = 256.",
        "train.loss={emb=0,concept=0,contrastive=0} | Cannot use kklip.train.loss.contrastive = 0",
        "ingest.sources=[{format=csv}] | Cannot use kklip.ingest.sources[0].path = : it must be the"
            + " path of the csv data.",
        "ingest.sources=[{format=csv,path=x,pth=y}] | Did you mean kklip.ingest.sources[0].path?",
        "ingest.sources=[{format=parquet,path=x,separator=\";\"}] | Cannot use kklip.ingest.sources[0].separator because a parquet source has no such key. Remove it; the keys of this format are format, path, image-column, caption-column, image-root, weight, split, follow-links, image-content, image-index.",
        "evaluate.zero-shot=[{name=a,path=b,templates=[x]}] | a list of texts with {} where the"
            + " class goes",
        "train.rendezvous-timeout=0s | it must be a positive duration, such as 2 minutes.",
        "train.epochs=0.5 | Cannot use kklip.train.epochs = 0.5: it must be a whole number of at"
            + " least 1.",
        "seed=99999999999999999999 | Cannot use kklip.seed = 99999999999999999999: it must be a"
            + " whole number of at least 0.",
        "train.lr=fast | Cannot use kklip.train.lr = fast: it must be a number from 0 to 10.",
        "train.lr=[1] | Cannot use kklip.train.lr = [1]: it must be a number from 0 to 10.",
        "train.recompute=maybe | Cannot use kklip.train.recompute = maybe: it must be true or"
            + " false.",
        "ingest.max-bytes=large | Cannot use kklip.ingest.max-bytes = large: it must be a size of"
            + " at least 1024 bytes, such as 64 MiB.",
        "lease-expiry=soon | Cannot use kklip.lease-expiry = soon: it must be a positive duration,"
            + " such as 2 minutes.",
        "ingest.sources=here | Cannot use kklip.ingest.sources = here: it must be a list of { ..."
            + " }.",
        "concepts.top-k=2.5 | Cannot use kklip.concepts.top-k = 2.5: it must be auto or a whole"
            + " number from 1 to 256.",
        "train=3 | Cannot use kklip.train = \"3\": it is no key but a section, train { ... }.",
        "teacher.storage=bfloat16 | Cannot use kklip.teacher.storage = bfloat16: it must be one of"
            + " float32, float16.",
        "noequals | Cannot use --set noequals: it must be KEY=VALUE.",
      })
  void refusesWithTheKeyAndWhatIsAllowed(String assignment, String message) {
    assertThatThrownBy(() -> Settings.load(List.of(), List.of(assignment)))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining(message);
  }

  /** What is meant; nothing where nothing is near. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "lr | train.lr",
        "train.learning-rate | train.lr",
        "learning_rate | train.lr",
        "batch_size | train.batch",
        "train.batchsize | train.batch",
        "train.batchSize | train.batch",
        "bf16 | train.precision",
        "evaluate.bach | evaluate.batch",
        "epochs | train.epochs",
        "train.seed | seed",
        "train.sed | seed",
        "train.loss.alpha | train.loss.emb",
        "num_train_epochs | train.epochs",
        "ingest.min-sides | ingest.min-side",
        "colour | ''",
        "train.xy | ''",
      })
  void hintsAtWhatIsMeant(String key, String meant) {
    assertThatThrownBy(() -> Settings.load(List.of(), List.of(key + "=1")))
        .isInstanceOf(SettingsException.class)
        .hasMessage(
            "Cannot use the setting kklip."
                + key
                + ": there is none of that name."
                + (meant.isEmpty() ? "" : " Did you mean kklip." + meant + "?"));
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
