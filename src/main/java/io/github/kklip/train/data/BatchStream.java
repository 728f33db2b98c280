package io.github.kklip.train.data;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.Seeds;
import io.github.kklip.store.Pair;
import io.github.kklip.text.StudentTokenizer;
import io.github.kklip.train.plan.SampleOrder;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;

/**
 * This rank's part of one virtual stream of the order: fills the same rows of batch after batch,
 * from one block at a time.
 */
final class BatchStream {
  /**
   * How a row of a block becomes a row of a batch.
   *
   * @param seed of the run
   * @param context tokens of a caption at the most
   */
  record RowMaker(PixelReader pixels, StudentTokenizer tokenizer, int context, long seed) {
    void put(BlockReader.PairRow source, Batch batch, int row, int epoch) {
      Pair pair = source.pair();
      int bytes = pixels.values() * Float.BYTES;
      ByteBuffer target = batch.pixels().slice(row * bytes, bytes).order(ByteOrder.nativeOrder());
      long augment = Seeds.derive(seed, "augment", epoch, Seeds.hash(pair.id()));
      try {
        pixels.read(pair.image(), augment, target.asFloatBuffer());
      } catch (IOException | RuntimeException e) {
        throw new IllegalStateException(
            message(
                "Cannot decode the image of the pair %s because of %s. The shard was changed after ingest.",
                pair.id(), e.getMessage()),
            e);
      }
      batch.tokens()[row] = tokenizer.encode(pair.caption(), context);
      batch.images()[row] = Long.parseUnsignedLong(pair.imageId().substring(0, 16), 16);
      if (source.teacher() != null) {
        batch.teacher()[row] = source.teacher();
      }
      if (source.label() != null) {
        batch.labels()[row] = source.label();
      }
    }
  }

  private final int number;
  private final int from;
  private final int to;
  private final int offset;
  private final BlockReader reader;
  private final RowMaker maker;
  private CompletableFuture<Void> last = CompletableFuture.completedFuture(null);

  // Touched by one task at a time, each of which happens after the one before.
  private int epoch = -1;
  private SampleOrder.Epoch.Walk walk;
  private SampleOrder.Block block;
  private BlockReader.PairRow[] blockRows;

  /**
   * @param number of the virtual stream
   * @param from first position of the batch that it fills
   * @param to the position after its last
   * @param offset row of this rank's batch that position {@code from} is
   */
  BatchStream(int number, int from, int to, int offset, BlockReader reader, RowMaker maker) {
    this.number = number;
    this.from = from;
    this.to = to;
    this.offset = offset;
    this.reader = reader;
    this.maker = maker;
  }

  /**
   * Fills this stream's rows of a batch when it has filled those of the batch before.
   *
   * @param pass the order of the epoch
   * @param passNumber the epoch's number
   * @param step the batch's number in the epoch
   */
  CompletableFuture<Void> load(
      Batch batch, SampleOrder.Epoch pass, int passNumber, long step, Executor pool) {
    last =
        last.thenRunAsync(
            () -> {
              if (passNumber != epoch) {
                epoch = passNumber;
                walk = pass.walk(number, from, to);
                block = null;
              }
              int row = offset;
              for (SampleOrder.BlockRow place : walk.rows(step)) {
                if (!place.block().equals(block)) {
                  block = place.block();
                  blockRows = reader.read(block);
                }
                maker.put(blockRows[place.offset()], batch, row++, epoch);
                blockRows[place.offset()] = null;
              }
            },
            pool);
    return last;
  }
}
