package io.github.kklip.upkeep;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.config.Settings;
import io.github.kklip.ingest.CompactStage;
import io.github.kklip.ingest.IngestStage;
import io.github.kklip.ingest.LocalSpark;
import io.github.kklip.progress.ToldProgress;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.Manifests.ConflictException;
import io.github.kklip.store.Pair;
import io.github.kklip.store.RegisteredRun;
import io.github.kklip.store.Shard;
import io.github.kklip.store.TestDataset;
import io.github.kklip.store.TokenizerManifest;
import io.github.kklip.store.publication.Lease;
import io.github.kklip.store.shards.PairFormat;
import io.github.kklip.store.shards.ShardReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.NavigableSet;
import java.util.TreeSet;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** A takedown beside which another job changes the dataset. */
@ExtendWith(LocalSpark.class)
class RemoveStageTest {
  @TempDir Path folder;

  /** What other jobs do; they may fail as Spark's and the storage's do. */
  private interface Work {
    void run() throws IOException;
  }

  @BeforeEach
  void make() throws IOException {
    ingest(1, 12);
  }

  /** Heartbeats are minutes apart: none comes while a lease is hidden. */
  private Settings settings(String... more) {
    List<String> all =
        new ArrayList<>(
            List.of(
                "dataset=" + folder.resolve("data"),
                "lease-expiry=1 hour",
                "ingest.validation-fraction=0"));
    all.addAll(List.of(more));
    return Settings.load(List.of(), all);
  }

  /** Each image of the source has two captions. */
  private void ingest(int seed, int images) throws IOException {
    IngestStage.run(
        LocalSpark.get(),
        settings(
            "seed=" + seed, "ingest.sources=[{ format = synthetic, pairs = " + images + " }]"));
  }

  private DatasetFolder dataset() {
    return new DatasetFolder(folder.resolve("data").toString(), new Configuration(false));
  }

  private NavigableSet<String> ids() throws IOException {
    NavigableSet<String> ids = new TreeSet<>();
    for (Shard shard : dataset().requireManifest().shards()) {
      try (var reader =
          ShardReader.open(dataset().configuration(), dataset().pairs(shard), PairFormat.IDS)) {
        for (int group = 0; group < reader.rowGroups(); group++) {
          reader.readGroup(group).stream().map(Pair::id).forEach(ids::add);
        }
      }
    }
    return ids;
  }

  private RemoveResult remove(String id, Work meanwhile) throws IOException {
    return RemoveStage.run(
        LocalSpark.get(),
        settings(),
        new TreeSet<>(List.of(id)),
        () -> {
          try {
            meanwhile.run();
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        });
  }

  /** As a job that does not see the other one's claim: only the commit keeps them apart. */
  private Work unseen(Work work) {
    return () -> {
      Path leases = folder.resolve("data/" + Lease.FOLDER);
      Path hidden = Files.move(leases, folder.resolve("hidden"));
      work.run();
      assertThat(leases).doesNotExist();
      Files.move(hidden, leases);
    };
  }

  /** The takedown is refused by its commit, and the same one succeeds afterwards. */
  private void assertConflict(Work meanwhile) throws IOException {
    String id = ids().first();
    NavigableSet<String> before = ids();
    assertThatThrownBy(() -> remove(id, meanwhile))
        .isInstanceOf(ConflictException.class)
        .hasMessage(
            "Cannot add a takedown to the dataset "
                + dataset().root()
                + " because another job has changed it while this job worked. Run the job again.");
    assertThat(ids()).containsAll(before);
    assertThat(dataset().requireManifest().removed()).isEmpty();
    DatasetManifest made = dataset().requireManifest();

    RemoveResult result = remove(id, () -> {});

    assertThat(result.rows()).isEqualTo(1);
    assertThat(ids()).doesNotContain(id);
    DatasetManifest after = dataset().requireManifest();
    assertThat(after.totals().pairs()).isEqualTo(made.totals().pairs() - 1);
    assertThat(after.totals().input()).isEqualTo(made.totals().input());
    assertThat(after.generations()).hasSameSizeAs(made.generations());
    assertThat(after.tokenizer() == null).isEqualTo(made.tokenizer() == null);
  }

  @Test
  void anIngestThatCommitsMeanwhileIsKept() throws IOException {
    assertConflict(unseen(() -> ingest(2, 5)));
    assertThat(ids()).hasSize(2 * (12 + 5) - 1);
  }

  @Test
  void aCompactionThatCommitsMeanwhileIsKept() throws IOException {
    ingest(2, 5);
    assertConflict(unseen(() -> CompactStage.run(LocalSpark.get(), settings())));
    assertThat(dataset().requireManifest().generations()).hasSize(1);
  }

  /** It does not ask for the lease of the pairs. */
  @Test
  void aTokenizerThatIsMadeMeanwhileIsKept() throws IOException {
    TokenizerManifest tokenizer =
        new TokenizerManifest(
            dataset().requireManifest().settings(), 0, 0, 0, List.of(), "tokenizer/x", List.of());
    assertConflict(() -> TestDataset.commit(dataset(), tokenizer));
    assertThat(dataset().requireManifest().tokenizer()).isEqualTo(tokenizer);
  }

  @Test
  void anotherTakedownMeanwhileIsKept() throws IOException {
    String other = ids().last();
    String id = ids().first();
    assertThatThrownBy(() -> remove(id, unseen(() -> remove(other, () -> {}))))
        .isInstanceOf(ConflictException.class);
    assertThat(ids()).contains(id).doesNotContain(other);
    assertThat(remove(id, () -> {}).rows()).isEqualTo(1);
    assertThat(ids()).doesNotContain(id, other);
    assertThat(dataset().requireManifest().removed()).hasSize(2);
  }

  @Test
  void aTakedownTellsWhatItSearchesAndWhatItRewrites() throws IOException {
    String id = ids().first();
    try (ToldProgress told = new ToldProgress()) {
      RemoveResult result = remove(id, () -> {});
      assertThat(told.all())
          .containsExactly(
              "remove, rows: begin",
              "remove, rows: count",
              "remove, rows: done 24 of 24",
              "remove, shards: begin",
              "remove, shards: count",
              "remove, shards: done 1 of 1");
      assertThat(result.rows()).isEqualTo(1);
      assertThat(result.shards()).isEqualTo(1);
      assertThat(result.totals().pairs()).isEqualTo(23);
    }
  }

  /** Killed before the commit: nothing has happened. */
  @Test
  void aTakedownThatIsCutShortLeavesTheDatasetAsItWas() throws IOException {
    DatasetManifest before = dataset().requireManifest();
    String id = ids().first();
    assertThatThrownBy(
            () ->
                remove(
                    id,
                    () -> {
                      throw new IllegalStateException("killed");
                    }))
        .hasMessage("killed");
    assertThat(dataset().requireManifest()).isEqualTo(before);
    assertThat(remove(id, () -> {}).rows()).isEqualTo(1);
    assertThat(ids()).doesNotContain(id).hasSize(23);
  }

  /** It has read an older manifest, and registers itself in the midst of the takedown. */
  @Test
  void aTrainingThatBeginsMeanwhileIsNamedWhenItSawTheRows() throws IOException {
    long first = dataset().requireManifest().number();
    NavigableSet<String> old = ids();
    ingest(2, 5);
    CompactStage.run(LocalSpark.get(), settings());
    NavigableSet<String> fresh = ids();
    fresh.removeAll(old);
    Path run = Files.createDirectories(folder.resolve("run"));
    Work begins = () -> new RegisteredRun("file:" + run, first).register(dataset());
    assertThat(remove(fresh.first(), begins).runs()).isEmpty();
    RegisteredRun.forget(dataset(), new RegisteredRun("file:" + run, first).name());
    // The shards of its manifest are no longer those of the dataset.
    assertThat(remove(old.first(), begins).runs()).containsExactly("file:" + run);
  }
}
