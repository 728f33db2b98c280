package io.github.kklip.ingest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.config.Settings;
import io.github.kklip.progress.ToldProgress;
import io.github.kklip.store.ConceptManifest;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.Identity;
import io.github.kklip.store.Manifests.ConflictException;
import io.github.kklip.store.Pair;
import io.github.kklip.store.Shard;
import io.github.kklip.store.TeacherManifest;
import io.github.kklip.store.TestDataset;
import io.github.kklip.store.TokenizerManifest;
import io.github.kklip.store.shards.FollowingRows;
import io.github.kklip.store.shards.LabelFormat;
import io.github.kklip.store.shards.PairFormat;
import io.github.kklip.store.shards.ShardReader;
import io.github.kklip.store.shards.VectorFormat;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

@ExtendWith(LocalSpark.class)
class CompactStageTest {
  @TempDir Path folder;

  private Settings settings(String... more) {
    List<String> all = new ArrayList<>(List.of("dataset=" + folder.resolve("data")));
    all.addAll(List.of(more));
    return Settings.load(List.of(), all);
  }

  private void ingest(int pairs, int seed, String... more) throws IOException {
    List<String> all =
        new ArrayList<>(
            List.of(
                "seed=" + seed, "ingest.sources=[{ format = synthetic, pairs = " + pairs + " }]"));
    all.addAll(List.of(more));
    IngestStage.run(LocalSpark.get(), settings(all.toArray(String[]::new)));
  }

  private DatasetFolder dataset() {
    return new DatasetFolder(folder.resolve("data").toString(), new Configuration(false));
  }

  /** Another job that commits in the midst of it. */
  @Test
  void aDatasetThatChangedMeanwhileIsNotReplaced() throws IOException {
    ingest(5, 1);
    ingest(9, 2);
    DatasetManifest before = dataset().requireManifest();
    TokenizerManifest tokenizer =
        new TokenizerManifest(before.settings(), 0, 0, 0, List.of(), "tokenizer/x", List.of());
    assertThatThrownBy(
            () ->
                CompactStage.run(
                    LocalSpark.get(),
                    settings(),
                    () -> {
                      try {
                        TestDataset.commit(dataset(), tokenizer);
                      } catch (IOException e) {
                        throw new UncheckedIOException(e);
                      }
                    }))
        .isInstanceOf(ConflictException.class)
        .hasMessage(
            "Cannot add the compacted shards to the dataset "
                + dataset().root()
                + " because another job has changed it while this job worked. Run the job again.");
    assertThat(dataset().requireManifest().shards()).isEqualTo(before.shards());
    assertThat(CompactStage.run(LocalSpark.get(), settings()).generations()).isEqualTo(2);
    assertThat(dataset().requireManifest().tokenizer()).isEqualTo(tokenizer);
    assertThat(dataset().requireManifest().generations()).hasSize(1);
  }

  /** Killed before the commit: the dataset is as it was, and a rerun gives what it would have. */
  @Test
  void aCompactionThatIsCutShortLeavesTheDatasetAsItWas() throws IOException {
    ingest(5, 1, "ingest.near-duplicate-bits=0");
    ingest(9, 2, "ingest.near-duplicate-bits=0");
    DatasetManifest before = dataset().requireManifest();
    assertThatThrownBy(
            () ->
                CompactStage.run(
                    LocalSpark.get(),
                    settings(),
                    () -> {
                      throw new IllegalStateException("killed");
                    }))
        .hasMessage("killed");
    assertThat(dataset().requireManifest()).isEqualTo(before);
    CompactStage.run(LocalSpark.get(), settings());
    DatasetManifest after = dataset().requireManifest();
    assertThat(after.totals()).isEqualTo(before.totals());
    // The hashes came along: the next ingest compares with them.
    ingest(12, 3, "ingest.near-duplicate-bits=0");
  }

  @Test
  void itTellsTheShardsThatItWrites() throws IOException {
    ingest(5, 1, "ingest.validation-fraction=0.2");
    ingest(9, 2, "ingest.validation-fraction=0.2");
    try (ToldProgress told = new ToldProgress()) {
      CompactStage.run(LocalSpark.get(), settings());
      assertThat(told.all())
          .containsExactly(
              "compact, shards: begin", "compact, shards: count", "compact, shards: done 2 of 2");
    }
  }

  /** Everything of every row, by its id, and which image bytes it has. */
  private Map<String, List<Object>> rows(DatasetManifest manifest) throws IOException {
    TeacherManifest teacher = manifest.teachers().get("llama");
    ConceptManifest concepts = manifest.concepts().get("concepts");
    Configuration configuration = dataset().configuration();
    Map<String, List<Object>> rows = new TreeMap<>();
    for (Shard shard : manifest.shards()) {
      try (var reader = ShardReader.open(configuration, dataset().pairs(shard), PairFormat.ALL)) {
        for (int group = 0; group < reader.rowGroups(); group++) {
          for (Pair pair : reader.readGroup(group)) {
            List<Object> row =
                new ArrayList<>(
                    List.of(
                        shard.split(),
                        pair.imageId(),
                        pair.caption(),
                        Identity.ofImage(pair.image()),
                        pair.width(),
                        pair.height(),
                        pair.source()));
            assertThat(rows.put(pair.id(), row)).isNull();
          }
        }
      }
      FollowingRows.read(
              configuration,
              dataset().file(teacher.files().get(shard.identity())),
              VectorFormat.AS_STORED,
              shard,
              teacher.settings().digest())
          .forEach((id, vector) -> rows.get(id).add(Arrays.toString(vector.values())));
      FollowingRows.read(
              configuration,
              dataset().file(concepts.files().get(shard.identity())),
              new LabelFormat(),
              shard,
              concepts.made())
          .forEach(
              (id, label) ->
                  rows.get(id)
                      .addAll(
                          List.of(
                              Arrays.toString(label.concepts()),
                              Arrays.toString(label.weights()))));
    }
    return rows;
  }

  @Test
  void aDatasetOfFormat1GetsTodaysLayout() throws IOException {
    Path kept = Path.of("src/test/resources/format1");
    try (Stream<Path> files = Files.walk(kept)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        Path to = folder.resolve("data").resolve(kept.relativize(file).toString());
        Files.createDirectories(to.getParent());
        Files.copy(file, to);
      }
    }
    DatasetManifest before = dataset().requireManifest();
    Map<String, List<Object>> rows = rows(before);
    assertThat(rows.values()).allMatch(row -> row.size() == 10);
    CompactResult result = CompactStage.run(LocalSpark.get(), settings());
    DatasetManifest after = dataset().requireManifest();
    assertThat(result.shardsBefore()).isEqualTo(3);
    assertThat(result.shards()).isEqualTo(2);
    assertThat(after.number()).isEqualTo(1);
    assertThat(after.shards()).noneMatch(shard -> shard.blocks().isEmpty());
    assertThat(rows(after)).isEqualTo(rows);
    assertThat(after.totals()).isEqualTo(before.totals());
    assertThat(after.tokenizer().files()).isEqualTo(before.tokenizer().files());
    assertThat(after.concepts().get("concepts").centroids())
        .isEqualTo(before.concepts().get("concepts").centroids());
    assertThat(dataset().present(before.files())).containsAll(before.files());
  }
}
