package io.github.kklip.ingest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.config.Settings;
import io.github.kklip.store.ConceptManifest;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.ProcessingSettings;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Split;
import io.github.kklip.store.TeacherManifest;
import io.github.kklip.store.shards.LabelFormat;
import io.github.kklip.store.shards.PairFormat;
import io.github.kklip.store.shards.ShardReader;
import io.github.kklip.store.shards.VectorFormat;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** A dataset that an earlier version made, whole, as it is kept in the test's resources. */
@ExtendWith(LocalSpark.class)
class Format1DatasetTest {
  private static final Path KEPT = Path.of("src/test/resources/format1");

  @TempDir private Path folder;
  private DatasetFolder dataset;

  @BeforeEach
  void copy() throws IOException {
    try (Stream<Path> files = Files.walk(KEPT)) {
      for (Path file : files.toList()) {
        Path to = folder.resolve("data").resolve(KEPT.relativize(file).toString());
        if (Files.isDirectory(file)) {
          Files.createDirectories(to);
        } else {
          Files.copy(file, to);
        }
      }
    }
    dataset = new DatasetFolder(folder.resolve("data").toString(), new Configuration());
  }

  private Map<String, byte[]> files() throws IOException {
    Map<String, byte[]> all = new TreeMap<>();
    try (Stream<Path> files = Files.walk(folder.resolve("data"))) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        all.put(folder.resolve("data").relativize(file).toString(), Files.readAllBytes(file));
      }
    }
    return all;
  }

  @Test
  void itIsReadAsItIs() throws IOException {
    Map<String, byte[]> before = files();
    DatasetManifest manifest = dataset.requireManifest();
    assertThat(manifest.number()).isZero();
    assertThat(manifest.shards()).extracting(Shard::rows).containsExactly(20L, 20L, 8L);
    assertThat(manifest.totals().rejects()).isEqualTo(9);
    assertThat(before.keySet()).containsAll(manifest.files());
    TeacherManifest teacher = manifest.teachers().get("llama");
    ConceptManifest concepts = manifest.concepts().get("concepts");
    for (Shard shard : manifest.shards()) {
      var configuration = dataset.configuration();
      try (var pairs = ShardReader.open(configuration, dataset.pairs(shard), PairFormat.ALL);
          var vectors =
              ShardReader.open(
                  configuration,
                  dataset.file(teacher.files().get(shard.identity())),
                  VectorFormat.AS_STORED,
                  shard,
                  teacher.settings().digest());
          var labels =
              ShardReader.open(
                  configuration,
                  dataset.file(concepts.files().get(shard.identity())),
                  new LabelFormat(),
                  shard,
                  concepts.made())) {
        assertThat(pairs.identity()).isEqualTo(shard.identity());
        assertThat(vectors.rows()).isEqualTo(shard.rows());
        assertThat(labels.readGroup(0).get(0).id()).isEqualTo(pairs.readGroup(0).get(0).id());
      }
    }
    assertThat(dataset.requireTokenizer(manifest).getName()).isEqualTo("tokenizer");
    assertThat(files().keySet()).isEqualTo(before.keySet());
  }

  @Test
  void theFirstJobThatWritesNamesItsFilesAndChangesNone() throws IOException {
    DatasetManifest before = dataset.requireManifest();
    Map<String, byte[]> files = files();
    ProcessingSettings made = before.settings();
    Settings settings =
        Settings.load(
            List.of(),
            List.of(
                "dataset=" + folder.resolve("data"),
                "ingest.validation-fraction=" + made.values().get("ingest.validation-fraction"),
                "ingest.sources=[{format=synthetic, pairs=20}]"));
    IngestResult result = IngestStage.run(LocalSpark.get(), settings);

    DatasetManifest after = dataset.requireManifest();
    assertThat(after.number()).isEqualTo(1);
    assertThat(after.generations().subList(0, 1)).isEqualTo(before.generations());
    assertThat(after.teachers()).isEqualTo(before.teachers());
    assertThat(after.totals().pairs()).isEqualTo(48 + result.pairs());
    assertThat(after.shards(Split.TRAIN)).extracting(Shard::index).doesNotHaveDuplicates();
    Map<String, byte[]> now = files();
    files.remove("card.html");
    files.forEach((name, bytes) -> assertThat(now.get(name)).as(name).isEqualTo(bytes));
  }

  @Test
  void anUnknownFormatIsNamed() throws IOException {
    Path file = folder.resolve("data/manifest.json");
    Files.writeString(file, Files.readString(file).replace("\"format\": 1", "\"format\": 7"));
    assertThatThrownBy(dataset::readManifest)
        .hasMessageContaining("it has format 7, and this version reads formats 1 and 2");
  }
}
