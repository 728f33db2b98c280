package io.github.kklip.train.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.comms.transport.RankShards;
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
      SampleOrder order = new SampleOrder(3, SHARDS, batch);
      List<SampleOrder.Row> one = whole(order, 0, 1);
      for (int ranks = 2; ranks <= Math.min(4, batch); ranks++) {
        assertThat(whole(order, 0, ranks)).isEqualTo(one);
      }
    }
  }

  @Test
  void everyRowOnceAnEpochButForTheRemainder() {
    for (int batch : new int[] {1, 5, 32, 100, 301, 603}) {
      SampleOrder order = new SampleOrder(3, SHARDS, batch);
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
    SampleOrder order = new SampleOrder(3, SHARDS, 100);
    List<SampleOrder.Row> first = whole(order, 0, 1);
    List<SampleOrder.Row> second = whole(order, 1, 1);
    assertThat(second).isNotEqualTo(first);
    assertThat(whole(new SampleOrder(4, SHARDS, 100), 0, 1)).isNotEqualTo(first);
    assertThat(whole(new SampleOrder(3, SHARDS, 100), 0, 1)).isEqualTo(first);
    Set<SampleOrder.Row> left = new HashSet<>(second);
    left.removeAll(first);
    assertThat(left).isNotEmpty();
  }

  @Test
  void aRankReadsAboutItsShareOfTheBlocksAndHoldsOneBlockPerStream() {
    List<Long> shards = LongStream.generate(() -> 2048).limit(40).boxed().toList();
    SampleOrder order = new SampleOrder(1, shards, 256);
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
    SampleOrder order = new SampleOrder(1, shards, 64);
    Map<Integer, Integer> shardsOfBatch = new HashMap<>();
    order
        .epoch(0)
        .batchRows(7, 0, 64)
        .forEach(r -> shardsOfBatch.merge(r.shard(), 1, Integer::sum));
    assertThat(shardsOfBatch.size()).isGreaterThan(15);
  }

  @Test
  void fewerRowsThanABatchAreRefused() {
    assertThatThrownBy(() -> new SampleOrder(0, SHARDS, 604))
        .hasMessage(
            "Cannot train with batches of 604 because the training split has only 603 pairs. Set"
                + " train.batch to at most that, or ingest more.");
  }
}
