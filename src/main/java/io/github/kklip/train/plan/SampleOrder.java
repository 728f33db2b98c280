package io.github.kklip.train.plan;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.Seeds;
import io.github.kklip.config.SettingsException;
import io.github.kklip.config.SplitMix64;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Which row every position of every batch holds: a function of seed and epoch alone, the same for
 * any number of ranks, computed without reading any data.
 *
 * <p>The rows of a shard are cut into blocks, none of which has two captions of one image ({@link
 * io.github.kklip.store.Shard#blockRows}). An epoch lines all blocks up in random order and the
 * rows of each block in random order: the line, of T rows. Of it S = floor(T / B) batches of B rows
 * are made; the T - S B rows at the end of the line are the epoch's remainder, which is left out.
 *
 * <p>V virtual streams walk along the line at the same time, each over its own section. Stream v
 * fills the positions floor(v B / V) up to floor((v + 1) B / V) of every batch, c of them, and its
 * section is the c S rows that this takes. So a batch mixes rows of V blocks at least; a rank,
 * which takes a contiguous part of every batch, reads a contiguous part of the line, one block of
 * every stream at a time. V = min(B, max(32, B / 32)): one rank holds 32 blocks, or the rows of two
 * batches, and a rank with 32 rows of the batch or more reads whole streams, but for the two at the
 * ends of its part.
 */
public final class SampleOrder {
  /** One row: which shard of the list, and which row of it. */
  record Row(int shard, int row) {}

  /** The rows {@code start} to {@code start + rows} of a shard, read together. */
  public record Block(int shard, int start, int rows) {}

  private static final int STREAMS = 32;
  private static final int ROWS_PER_STREAM = 32;

  private final long seed;
  private final int batch;
  private final int streams;
  private final List<Block> blocks;
  private final long rows;
  private final long steps;

  /**
   * The order over shards of the given blocks.
   *
   * @param blockRows rows of each block of each shard
   * @param batch rows of one step over all ranks
   */
  SampleOrder(long seed, List<List<Integer>> blockRows, int batch) {
    this.seed = seed;
    this.batch = batch;
    streams = Math.min(batch, Math.max(STREAMS, batch / ROWS_PER_STREAM));
    blocks = new ArrayList<>();
    for (int shard = 0; shard < blockRows.size(); shard++) {
      int start = 0;
      for (int count : blockRows.get(shard)) {
        blocks.add(new Block(shard, start, count));
        start += count;
      }
    }
    rows = blocks.stream().mapToLong(Block::rows).sum();
    steps = rows / batch;
    requireRows(batch, rows);
  }

  /** Refuses a batch that no epoch can fill. */
  public static void requireRows(int batch, long rows) {
    if (rows < batch) {
      throw new SettingsException(
          message(
              "Cannot train with batches of %s because the training split has only %s pairs. Set train.batch to at most that, or ingest more.",
              batch, rows));
    }
  }

  /** Steps of one epoch. */
  public long stepsPerEpoch() {
    return steps;
  }

  /** Rows that an epoch leaves out; other rows in each epoch. */
  public long remainder() {
    return rows - steps * batch;
  }

  public int batch() {
    return batch;
  }

  /** The virtual streams. */
  public int streams() {
    return streams;
  }

  /** The first position of stream {@code v} in every batch; for v = V, the size of the batch. */
  public int firstPosition(int v) {
    return (int) ((long) v * batch / streams);
  }

  /** The order of one epoch. */
  public Epoch epoch(int epoch) {
    return new Epoch(epoch);
  }

  /** One pass over the training rows. */
  public final class Epoch {
    private final int epoch;

    /** Blocks in the order of the line. */
    private final int[] line;

    /** Where each block of the line starts; one more entry for the end. */
    private final long[] starts;

    private Epoch(int epoch) {
      this.epoch = epoch;
      line = IntStream.range(0, blocks.size()).toArray();
      new SplitMix64(Seeds.derive(seed, "epoch-blocks", epoch)).shuffle(line);
      starts = new long[line.length + 1];
      for (int i = 0; i < line.length; i++) {
        starts[i + 1] = starts[i] + blocks.get(line[i]).rows();
      }
    }

    /** Walks the part {@code from} to {@code to} of stream v's positions, step after step. */
    public Walk walk(int v, int from, int to) {
      return new Walk(firstPosition(v), firstPosition(v + 1), from, to);
    }

    /** The rows of the positions {@code from} to {@code to} of batch {@code step}. */
    List<Row> batchRows(long step, int from, int to) {
      List<Row> result = new ArrayList<>();
      for (int v = 0; v < streams; v++) {
        int low = Math.max(from, firstPosition(v));
        int high = Math.min(to, firstPosition(v + 1));
        if (low < high) {
          walk(v, low, high)
              .rows(step)
              .forEach(r -> result.add(new Row(r.block().shard(), r.block().start() + r.offset())));
        }
      }
      return result;
    }

    /** The part of one stream that one rank reads. Not thread-safe. */
    public final class Walk {
      private final int streamFrom;
      private final int streamTo;
      private final int from;
      private final int to;
      private int block = -1;
      private int[] offsets = {};

      private Walk(int streamFrom, int streamTo, int from, int to) {
        this.streamFrom = streamFrom;
        this.streamTo = streamTo;
        this.from = from;
        this.to = to;
      }

      /** The rows of this part in batch {@code step}, in the order of positions. */
      public List<BlockRow> rows(long step) {
        long first = steps * streamFrom + step * (streamTo - streamFrom) - streamFrom;
        List<BlockRow> result = new ArrayList<>(to - from);
        for (int position = from; position < to; position++) {
          result.add(at(first + position));
        }
        return result;
      }

      private BlockRow at(long place) {
        if (block < 0 || place < starts[block] || place >= starts[block + 1]) {
          block = blockAt(place);
          offsets = IntStream.range(0, blocks.get(line[block]).rows()).toArray();
          new SplitMix64(Seeds.derive(seed, "block-rows", epoch, line[block])).shuffle(offsets);
        }
        return new BlockRow(blocks.get(line[block]), offsets[(int) (place - starts[block])]);
      }

      private int blockAt(long place) {
        int found = Arrays.binarySearch(starts, place);
        return found >= 0 ? found : -found - 2;
      }
    }
  }

  /** Row {@code offset} of a block. */
  public record BlockRow(Block block, int offset) {}
}
