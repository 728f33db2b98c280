package io.github.kklip.ingest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.config.Settings;
import io.github.kklip.image.ImageDecoder;
import io.github.kklip.image.ImageRejectedException;
import io.github.kklip.image.RgbImage;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.Manifests.ConflictException;
import io.github.kklip.store.Pair;
import io.github.kklip.store.Shard;
import io.github.kklip.store.publication.Lease;
import io.github.kklip.store.shards.PairFormat;
import io.github.kklip.store.shards.ShardReader;
import io.github.kklip.upkeep.RemoveStage;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.NavigableSet;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Rows that are taken down while an ingest is at work do not come with it. */
@ExtendWith(LocalSpark.class)
class TakedownMeanwhileTest {
  /** What happens when the first image is decoded. */
  private static final AtomicReference<Runnable> MEANWHILE = new AtomicReference<>();

  @TempDir Path folder;

  @AfterEach
  void forget() {
    MEANWHILE.set(null);
  }

  private static RgbImage decode(byte[] bytes, long maxPixels) throws ImageRejectedException {
    Runnable once = MEANWHILE.getAndSet(null);
    if (once != null) {
      // Not on the task's thread: it begins Spark jobs of its own.
      CompletableFuture.runAsync(once).join();
    }
    return ImageDecoder.decode(bytes, maxPixels);
  }

  /** Heartbeats are minutes apart: none comes while the lease is hidden. */
  private Settings settings(String dataset, int pairs) {
    return Settings.load(
        List.of(),
        List.of(
            "dataset=" + folder.resolve(dataset),
            "lease-expiry=1 hour",
            "ingest.sources=[{ format = synthetic, pairs = " + pairs + " }]"));
  }

  private IngestResult ingest(String dataset, int pairs) throws IOException {
    return IngestStage.run(
        LocalSpark.get(), settings(dataset, pairs), TakedownMeanwhileTest::decode);
  }

  private DatasetFolder dataset(String name) {
    return new DatasetFolder(folder.resolve(name).toString(), new Configuration(false));
  }

  private NavigableSet<String> ids(String name) throws IOException {
    NavigableSet<String> ids = new TreeSet<>();
    for (Shard shard : dataset(name).requireManifest().shards()) {
      try (var reader =
          ShardReader.open(
              dataset(name).configuration(), dataset(name).pairs(shard), PairFormat.IDS)) {
        for (int group = 0; group < reader.rowGroups(); group++) {
          reader.readGroup(group).stream().map(Pair::id).forEach(ids::add);
        }
      }
    }
    return ids;
  }

  /** A takedown that does not see the lease of the ingest: only the commit keeps them apart. */
  private void takeDown(String id) {
    Path leases = folder.resolve("data/" + Lease.FOLDER);
    try {
      Path hidden = Files.move(leases, folder.resolve("hidden"));
      RemoveStage.run(LocalSpark.get(), settings("data", 1), new TreeSet<>(List.of(id)));
      Files.move(hidden, leases);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void assertHonoured(String id, int pairs) throws IOException {
    MEANWHILE.set(() -> takeDown(id));
    assertThatThrownBy(() -> ingest("data", pairs))
        .isInstanceOf(ConflictException.class)
        .hasMessage(
            "Cannot add the new pairs to the dataset "
                + dataset("data").root()
                + " because another job has changed its pairs while this job worked. Run the job again.");
    assertThat(MEANWHILE).hasValue(null);
    DatasetManifest taken = dataset("data").requireManifest();
    assertThat(taken.removed()).hasSize(1);
    assertThat(ids("data")).doesNotContain(id);
    // The next one goes by the takedown, whatever the refused one has left in its work folder.
    IngestResult again = ingest("data", pairs);
    assertThat(again.input()).isEqualTo(again.pairs() + again.rejects());
    assertThat(ids("data")).doesNotContain(id);
    NavigableSet<String> all = ids("all");
    all.remove(id);
    assertThat(ids("data")).isEqualTo(all);
    assertThat(dataset("data").requireManifest().removed()).isEqualTo(taken.removed());
  }

  @Test
  void rowsOfTheDatasetThatAreTakenDownDoNotComeBack() throws IOException {
    ingest("all", 9);
    ingest("data", 4);
    String id = ids("data").first();
    assertHonoured(id, 9);
    assertThat(dataset("data").requireManifest().totals().reasons()).containsEntry("removed", 2L);
  }

  /** They are in no shard yet, so the takedown changes none. */
  @Test
  void rowsThatTheIngestIsAboutToAddAreRejected() throws IOException {
    ingest("all", 9);
    ingest("data", 4);
    NavigableSet<String> fresh = ids("all");
    fresh.removeAll(ids("data"));
    assertHonoured(fresh.first(), 9);
    assertThat(dataset("data").requireManifest().totals().reasons()).containsEntry("removed", 1L);
  }
}
