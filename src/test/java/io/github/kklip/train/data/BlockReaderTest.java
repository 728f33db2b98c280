package io.github.kklip.train.data;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.store.Shard;
import io.github.kklip.train.TinyDataset;
import io.github.kklip.train.plan.SampleOrder;
import io.github.kklip.train.plan.TrainPlan;
import java.io.RandomAccessFile;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.apache.hadoop.fs.FileSystem;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BlockReaderTest {
  /** Ids, caption, source and sizes of one row of a row group, and pages around them. */
  private static final int ROW_BYTES = 200;

  @TempDir Path temporary;

  /**
   * An image with five captions is read once for the block of each caption, as when every caption
   * had an image of its own: images are read as often as they are used.
   */
  @Test
  void anEpochReadsItsImagesAsOftenAsItUsesThem() throws Exception {
    TinyDataset data = TinyDataset.captioned(temporary.resolve("data"), 200, 5);
    TrainPlan plan =
        data.plan(temporary.resolve("run"), "train.loss.emb=0", "train.loss.concept=0");
    Shard shard = data.shards().get(0);
    assertThat(shard.blocks()).isEqualTo("64x15 8x5");
    BlockReader reader = new BlockReader(plan, TinyDataset.CONFIGURATION, plan.shards());

    long imageBytes = 0;
    Set<String> ids = new HashSet<>();
    Map<String, byte[]> images = new HashMap<>();
    long before = bytesRead();
    int start = 0;
    for (int rows : shard.blockRows()) {
      Set<String> ofBlock = new HashSet<>();
      for (BlockReader.PairRow row : reader.read(new SampleOrder.Block(0, start, rows))) {
        imageBytes += row.pair().image().length;
        ids.add(row.pair().id());
        ofBlock.add(row.pair().imageId());
        assertThat(images.computeIfAbsent(row.pair().imageId(), id -> row.pair().image()))
            .isEqualTo(row.pair().image());
      }
      assertThat(ofBlock).hasSize(rows);
      start += rows;
    }
    long read = bytesRead() - before;

    assertThat(ids).hasSize(1000);
    assertThat(images).hasSize(200);
    // Each block reads the footer, and the small columns of its row group of five blocks.
    long others = shard.blockRows().size() * footer(data) + 5 * 1000 * ROW_BYTES;
    assertThat(read).isBetween(imageBytes, imageBytes + others);
  }

  private static long footer(TinyDataset data) throws Exception {
    Path file = Path.of(data.dataset().pairs(data.shards().get(0)).toUri().getPath());
    try (RandomAccessFile bytes = new RandomAccessFile(file.toFile(), "r")) {
      bytes.seek(bytes.length() - 8);
      // A reader asks for the length and the magic number first.
      return 16L + Integer.reverseBytes(bytes.readInt());
    }
  }

  /** Of all local files, by all threads of this process. */
  private static long bytesRead() {
    return FileSystem.getGlobalStorageStatistics().get("file").getLong("bytesRead");
  }
}
