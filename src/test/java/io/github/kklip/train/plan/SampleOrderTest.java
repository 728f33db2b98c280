package io.github.kklip.train.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.comms.transport.RankShards;
import io.github.kklip.config.SplitMix64;
import io.github.kklip.store.Blocks;
import io.github.kklip.store.Identity;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

class SampleOrderTest {
  private static final List<Long> SHARDS = List.of(200L, 7L, 64L, 331L, 1L);

  /** Over shards of format 1, of so many rows. */
  private static SampleOrder order(long seed, List<Long> shards, int batch) {
    return new SampleOrder(
        seed, shards.stream().map(rows -> Blocks.read("", rows)).toList(), batch);
  }

  private static List<SampleOrder.Row> whole(SampleOrder order, int epoch, int ranks) {
    List<SampleOrder.Row> rows = new ArrayList<>();
    SampleOrder.Epoch pass = order.epoch(epoch);
    for (long step = 0; step < order.stepsPerEpoch(); step++) {
      int from = 0;
      for (int count : RankShards.evenCounts(order.batch(), ranks)) {
        rows.addAll(pass.batchRows(step, from, from + count));
        from += count;
      }
    }
    return rows;
  }

  @Test
  void ordersDoNotDependOnTheNumberOfRanks() {
    for (int batch : new int[] {1, 5, 32, 100, 603}) {
      SampleOrder order = order(3, SHARDS, batch);
      List<SampleOrder.Row> one = whole(order, 0, 1);
      for (int ranks = 2; ranks <= Math.min(4, batch); ranks++) {
        assertThat(whole(order, 0, ranks)).isEqualTo(one);
      }
    }
  }

  @Test
  void everyRowOnceAnEpochButForTheRemainder() {
    for (int batch : new int[] {1, 5, 32, 100, 301, 603}) {
      SampleOrder order = order(3, SHARDS, batch);
      assertThat(order.stepsPerEpoch()).isEqualTo(603 / batch);
      assertThat(order.remainder()).isEqualTo(603 % batch);
      for (int epoch = 0; epoch < 3; epoch++) {
        List<SampleOrder.Row> rows = whole(order, epoch, 1);
        assertThat(rows).hasSize(603 - 603 % batch).doesNotHaveDuplicates();
        assertThat(rows).allMatch(r -> r.row() >= 0 && r.row() < SHARDS.get(r.shard()));
      }
    }
  }

  @Test
  void epochsAndSeedsDifferAndTheRemainderIsOfOtherRows() {
    SampleOrder order = order(3, SHARDS, 100);
    List<SampleOrder.Row> first = whole(order, 0, 1);
    List<SampleOrder.Row> second = whole(order, 1, 1);
    assertThat(second).isNotEqualTo(first);
    assertThat(whole(order(4, SHARDS, 100), 0, 1)).isNotEqualTo(first);
    assertThat(whole(order(3, SHARDS, 100), 0, 1)).isEqualTo(first);
    Set<SampleOrder.Row> left = new HashSet<>(second);
    left.removeAll(first);
    assertThat(left).isNotEmpty();
  }

  @Test
  void aRankReadsAboutItsShareOfTheBlocksAndHoldsOneBlockPerStream() {
    List<Long> shards = LongStream.generate(() -> 2048).limit(40).boxed().toList();
    SampleOrder order = order(1, shards, 256);
    SampleOrder.Epoch epoch = order.epoch(0);
    int blocks = 40 * 2048 / 64;
    for (int ranks = 1; ranks <= 8; ranks++) {
      int from = 0;
      for (int count : RankShards.evenCounts(256, ranks)) {
        int to = from + count;
        int reads = 0;
        int held = 0;
        for (int v = 0; v < order.streams(); v++) {
          int low = Math.max(from, order.firstPosition(v));
          int high = Math.min(to, order.firstPosition(v + 1));
          if (low >= high) {
            continue;
          }
          held++;
          SampleOrder.Epoch.Walk walk = epoch.walk(v, low, high);
          SampleOrder.Block current = null;
          for (long step = 0; step < order.stepsPerEpoch(); step++) {
            for (SampleOrder.BlockRow row : walk.rows(step)) {
              if (!row.block().equals(current)) {
                current = row.block();
                reads++;
              }
            }
          }
        }
        assertThat(held).isBetween(32 / ranks, 32 / ranks + 2);
        // Two shared streams, and the blocks that the ends of a section cut.
        double share = (double) blocks * count / 256;
        double stream = (double) blocks / 32;
        assertThat((double) reads).isBetween(share * 0.99, share + 2 * stream + held);
        from = to;
      }
    }
  }

  @Test
  void aBatchMixesManyBlocks() {
    List<Long> shards = LongStream.generate(() -> 2048).limit(40).boxed().toList();
    SampleOrder order = order(1, shards, 64);
    Map<Integer, Integer> shardsOfBatch = new HashMap<>();
    order
        .epoch(0)
        .batchRows(7, 0, 64)
        .forEach(r -> shardsOfBatch.merge(r.shard(), 1, Integer::sum));
    assertThat(shardsOfBatch.size()).isGreaterThan(15);
  }

  /**
   * Of the version that cut all shards into blocks of 64: runs of format 1 must go on as before.
   */
  @Test
  void theOrderOverShardsOfFormat1StaysAsItWas() {
    Identity.Rows rows = new Identity.Rows();
    SampleOrder order = order(3, SHARDS, 32);
    for (int epoch = 0; epoch < 3; epoch++) {
      whole(order, epoch, 1).forEach(row -> rows.add(row.shard() + "," + row.row() + ";"));
    }
    assertThat(rows.hexAndReset()).isEqualTo("f6d3fc4022fb9fd670f41173d884eb09");
  }

  @Test
  void blocksAreThoseOfTheShards() {
    SampleOrder order = new SampleOrder(3, List.of(List.of(3, 1), List.of(64, 64, 2)), 67);
    Set<SampleOrder.Block> blocks = new HashSet<>();
    SampleOrder.Epoch epoch = order.epoch(0);
    for (int v = 0; v < order.streams(); v++) {
      for (SampleOrder.BlockRow row :
          epoch.walk(v, order.firstPosition(v), order.firstPosition(v + 1)).rows(0)) {
        blocks.add(row.block());
      }
      for (SampleOrder.BlockRow row :
          epoch.walk(v, order.firstPosition(v), order.firstPosition(v + 1)).rows(1)) {
        blocks.add(row.block());
      }
    }
    assertThat(blocks)
        .containsExactlyInAnyOrder(
            new SampleOrder.Block(0, 0, 3),
            new SampleOrder.Block(0, 3, 1),
            new SampleOrder.Block(1, 0, 64),
            new SampleOrder.Block(1, 64, 64),
            new SampleOrder.Block(1, 128, 2));
  }

  /** Rows of one image in a batch: pairs of them, and how sure the mean is. */
  private record SameImage(double mean, double error, double chance) {}

  /**
   * Counts over the batches of an epoch each of some seeds.
   *
   * @param images number of the image of each row
   */
  private static SameImage sameImage(List<Integer> blocks, int[] images, int batch, int seeds) {
    double sum = 0;
    double squares = 0;
    for (int seed = 0; seed < seeds; seed++) {
      SampleOrder order = new SampleOrder(seed, List.of(blocks), batch);
      SampleOrder.Epoch epoch = order.epoch(0);
      long pairs = 0;
      for (long step = 0; step < order.stepsPerEpoch(); step++) {
        Map<Integer, Integer> seen = new HashMap<>();
        for (SampleOrder.Row row : epoch.batchRows(step, 0, batch)) {
          pairs += seen.merge(images[row.row()], 1, Integer::sum) - 1;
        }
      }
      double mean = (double) pairs / order.stepsPerEpoch();
      sum += mean;
      squares += mean * mean;
    }
    Map<Integer, Long> captions = new HashMap<>();
    for (int image : images) {
      captions.merge(image, 1L, Long::sum);
    }
    double same = captions.values().stream().mapToDouble(n -> n * (n - 1.0)).sum();
    double mean = sum / seeds;
    return new SameImage(
        mean,
        Math.sqrt((squares / seeds - mean * mean) / (seeds - 1)),
        batch * (batch - 1.0) / 2 * same / ((double) images.length * (images.length - 1.0)));
  }

  /** Every image has five captions, in five blocks of one row group. */
  @Test
  void aBatchHoldsNoMoreRowsOfAnImageThanChanceGives() {
    int groups = 40;
    int[] images = new int[groups * 5 * 64];
    for (int row = 0; row < images.length; row++) {
      images[row] = row / (5 * 64) * 64 + row % 64;
    }
    List<Integer> blocks = Blocks.read("64x" + groups * 5, images.length);
    for (int batch : new int[] {64, 512}) {
      SameImage found = sameImage(blocks, images, batch, 60);
      assertThat(found.mean)
          .isBetween(found.chance - 4 * found.error, found.chance + 4 * found.error);
      // Random rows, as in format 1.
      int[] random = images.clone();
      new SplitMix64(7).shuffle(random);
      SameImage before = sameImage(blocks, random, batch, 60);
      assertThat(before.mean)
          .isBetween(before.chance - 4 * before.error, before.chance + 4 * before.error);
      // Enough of them for this to mean something.
      assertThat(found.error).isLessThan(0.1 * found.chance);
    }
  }

  /** One image has five captions, which are a row group of five blocks of one row. */
  @Test
  void oneImageWithFiveCaptionsIsAsRareInABatchAsChanceHasIt() {
    int[] images = new int[40 * 64 + 5];
    for (int row = 0; row < images.length; row++) {
      images[row] = Math.min(row, 40 * 64);
    }
    List<Integer> blocks = Blocks.read("64x40 1x5", images.length);
    SameImage found = sameImage(blocks, images, 512, 1000);
    assertThat(found.mean)
        .isBetween(found.chance - 4 * found.error, found.chance + 4 * found.error);
    assertThat(found.error).isLessThan(0.1 * found.chance);
  }

  @Test
  void fewerRowsThanABatchAreRefused() {
    assertThatThrownBy(() -> order(0, SHARDS, 604))
        .hasMessage(
            "Cannot train with batches of 604 because the training split has only 603 pairs. Set"
                + " train.batch to at most that, or ingest more.");
  }
}
