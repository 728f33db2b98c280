package io.github.kklip.ingest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.config.Settings;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.Manifests.ConflictException;
import io.github.kklip.store.TestDataset;
import io.github.kklip.store.TokenizerManifest;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
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
}
