package io.github.kklip.train.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.kklip.store.Label;
import io.github.kklip.text.StudentTokenizer;
import io.github.kklip.train.TinyDataset;
import io.github.kklip.train.plan.TrainPlan;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PairLoaderTest {
  private static final long LARGE = 1L << 30;

  @TempDir Path temporary;

  /** What the positions {@code from} to {@code to} of the batches from {@code step} on hold. */
  private static List<List<String>> load(
      TrainPlan plan, int from, int to, long step, long steps, int threads, long prefetch)
      throws IOException {
    List<List<String>> batches = new ArrayList<>();
    try (StudentTokenizer tokenizer =
            StudentTokenizer.load(plan.tokenizer(), TinyDataset.CONFIGURATION);
        PairLoader loader = loader(plan, from, to, step, steps, threads, prefetch, tokenizer)) {
      for (long s = step; s < steps; s++) {
        Batch batch = loader.next();
        assertThat(batch.step()).isEqualTo(s);
        batches.add(describe(batch));
        loader.recycle(batch);
      }
    }
    return batches;
  }

  private static PairLoader loader(
      TrainPlan plan,
      int from,
      int to,
      long step,
      long steps,
      int threads,
      long prefetch,
      StudentTokenizer tokenizer) {
    return new PairLoader(
        plan,
        TinyDataset.CONFIGURATION,
        plan.shards(),
        plan.order(plan.shards()),
        from,
        to,
        step,
        steps,
        tokenizer,
        new TrainImages(plan),
        new PairLoader.Options(threads, prefetch, Duration.ofMinutes(1)));
  }

  private static List<String> describe(Batch batch) {
    List<String> rows = new ArrayList<>();
    int bytes = batch.pixels().capacity() / batch.rows();
    for (int row = 0; row < batch.rows(); row++) {
      rows.add(
          batch.pixels().slice(row * bytes, bytes).hashCode()
              + " "
              + batch.images()[row]
              + " "
              + Arrays.toString(batch.tokens()[row])
              + (batch.teacher() == null ? "" : Arrays.toString(batch.teacher()[row]))
              + (batch.labels() == null ? "" : batch.labels()[row].id()));
    }
    return rows;
  }

  @Test
  void batchesDependOnNothingButSeedAndEpoch() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 150, 70, 5);
    TrainPlan plan = data.plan(temporary.resolve("run"), "train.augment-min-scale=0.3");
    long steps = 50; // 22 in an epoch
    List<List<String>> reference = load(plan, 0, 10, 0, steps, 1, LARGE);
    assertThat(load(plan, 0, 10, 0, steps, 4, LARGE)).isEqualTo(reference);
    // Nothing but the batch that is asked for ahead.
    assertThat(load(plan, 0, 10, 0, steps, 3, 1)).isEqualTo(reference);
    // From the middle of an epoch.
    assertThat(load(plan, 0, 10, 31, steps, 2, LARGE)).isEqualTo(reference.subList(31, 50));
    // Three ranks.
    List<List<List<String>>> ranks =
        List.of(
            load(plan, 0, 4, 0, steps, 1, LARGE),
            load(plan, 4, 7, 0, steps, 1, LARGE),
            load(plan, 7, 10, 0, steps, 1, LARGE));
    for (int step = 0; step < steps; step++) {
      List<String> together = new ArrayList<>();
      for (List<List<String>> rank : ranks) {
        together.addAll(rank.get(step));
      }
      assertThat(together).isEqualTo(reference.get(step));
    }
    // All rows come, and most are cropped in another way in another epoch.
    List<String> all = reference.stream().flatMap(List::stream).toList();
    assertThat(all.stream().map(row -> row.substring(row.indexOf(' '))).distinct().count())
        .isBetween(220L, 225L);
    assertThat(all.stream().distinct().count()).isGreaterThan(450);
  }

  @Test
  void embeddingsAreCentredAndUnitAndBelongToTheirRow() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 40);
    TrainPlan plan = data.plan(temporary.resolve("run"));
    try (StudentTokenizer tokenizer =
            StudentTokenizer.load(plan.tokenizer(), TinyDataset.CONFIGURATION);
        PairLoader loader = loader(plan, 0, 10, 0, 4, 1, LARGE, tokenizer)) {
      Batch batch = loader.next();
      for (float[] teacher : batch.teacher()) {
        double square = 0;
        for (float value : teacher) {
          square += value * value;
        }
        assertThat(square).isEqualTo(1, within(1e-6));
      }
      for (Label label : batch.labels()) {
        assertThat(label.concepts()).hasSizeBetween(1, 2);
      }
      assertThat(batch.pixels().capacity()).isEqualTo(10 * 3 * 16 * 16 * 4);
      assertThat(batch.tokens()[0]).startsWith(553).endsWith(554);
    }
    // A batch takes 30 KiB; one is loaded ahead when not even that fits.
    for (int[] bound : new int[][] {{64 * 1024, 2}, {1, 1}}) {
      try (StudentTokenizer tokenizer =
              StudentTokenizer.load(plan.tokenizer(), TinyDataset.CONFIGURATION);
          PairLoader loader = loader(plan, 0, 10, 0, 4, 1, bound[0], tokenizer)) {
        assertThat(loader.ahead()).isEqualTo(bound[1]);
      }
    }
  }

  @Test
  void aDeletedShardIsAnErrorOfTheStep() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 40, 40);
    TrainPlan plan = data.plan(temporary.resolve("run"));
    Path file = file(data, 1);
    Files.delete(file);
    assertThatThrownBy(() -> load(plan, 0, 10, 0, 8, 1, LARGE))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageStartingWith("Cannot load the batch of step ")
        .hasMessageContaining(file.toString())
        .hasRootCauseInstanceOf(FileNotFoundException.class);
  }

  private static Path file(TinyDataset data, int shard) {
    return data.pairsOf(shard);
  }

  @Test
  void aChangedShardIsAnErrorThatSaysSo() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 40, 40);
    TrainPlan plan = data.plan(temporary.resolve("run"));
    Files.copy(file(data, 0), file(data, 1), StandardCopyOption.REPLACE_EXISTING);
    assertThatThrownBy(() -> load(plan, 0, 10, 0, 8, 1, LARGE))
        .hasMessageContaining(
            "Cannot use "
                + data.dataset().pairs(data.shards().get(1))
                + " because it was changed: its identity is "
                + data.shards().get(0).identity()
                + " with 40 rows, and the manifest says "
                + data.shards().get(1).identity());
    Files.writeString(file(data, 1), "no Parquet");
    assertThatThrownBy(() -> load(plan, 0, 10, 0, 8, 1, LARGE))
        .hasMessageContaining(file(data, 1).toString());
  }

  @Test
  void derivedFilesOfOtherPairsAreRefused() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 40, 40);
    TrainPlan plan = data.plan(temporary.resolve("run"));
    Files.copy(data.labelsOf(0), data.labelsOf(1), StandardCopyOption.REPLACE_EXISTING);
    assertThatThrownBy(() -> load(plan, 0, 10, 0, 8, 1, LARGE))
        .hasMessageContaining("it belongs to other pairs");
  }
}
