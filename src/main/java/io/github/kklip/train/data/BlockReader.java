package io.github.kklip.train.data;

import static io.github.kklip.config.Message.message;

import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.Label;
import io.github.kklip.store.Pair;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Vector;
import io.github.kklip.store.shards.LabelFormat;
import io.github.kklip.store.shards.PairFormat;
import io.github.kklip.store.shards.RowFormat;
import io.github.kklip.store.shards.ShardReader;
import io.github.kklip.store.shards.VectorFormat;
import io.github.kklip.train.plan.SampleOrder;
import io.github.kklip.train.plan.TrainPlan;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;

/**
 * Reads blocks of a shard, zipped with the teacher's embeddings and the labels of the same rows, as
 * far as the plan's losses need them. Safe for any number of threads.
 */
final class BlockReader {
  /** Encoded bytes that one row group may have: four times what this program writes. */
  private static final long LARGEST_GROUP = 64L << 20;

  /**
   * A pair with what belongs to it.
   *
   * @param teacher t; null when its loss has weight 0
   * @param label null when its loss has weight 0
   */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  record PairRow(Pair pair, float[] teacher, Label label) {}

  private final TrainPlan plan;
  private final List<Shard> shards;
  private final DatasetFolder folder;

  /**
   * @param shards the shards of the order
   */
  BlockReader(TrainPlan plan, Configuration configuration, List<Shard> shards) {
    this.plan = plan;
    this.shards = shards;
    folder = new DatasetFolder(plan.dataset(), configuration);
  }

  /**
   * The rows of a block, in the order of the shard.
   *
   * @throws IllegalStateException when a file cannot be read, or is not what the plan names
   */
  PairRow[] read(SampleOrder.Block block) {
    Shard shard = shards.get(block.shard());
    try {
      List<Pair> pairs = readPairs(shard, block);
      List<Vector> vectors =
          plan.teacher() == null
              ? null
              : derived(
                  plan.teacher().files().get(shard.identity()),
                  VectorFormat.AS_STORED,
                  plan.teacher().settings().digest(),
                  shard,
                  block);
      List<Label> labels =
          plan.concepts() == null
              ? null
              : derived(
                  plan.concepts().files().get(shard.identity()),
                  new LabelFormat(),
                  plan.concepts().made(),
                  shard,
                  block);
      PairRow[] rows = new PairRow[block.rows()];
      for (int i = 0; i < rows.length; i++) {
        Pair pair = pairs.get(i);
        float[] teacher = null;
        if (vectors != null) {
          checkId(pair, vectors.get(i).id(), "embeddings", shard);
          teacher = vectors.get(i).values();
          plan.teacher().postprocessing().apply(teacher);
        }
        if (labels != null) {
          checkId(pair, labels.get(i).id(), "labels", shard);
        }
        rows[i] = new PairRow(pair, teacher, labels == null ? null : labels.get(i));
      }
      return rows;
    } catch (IOException e) {
      throw new IllegalStateException(e.getMessage(), e);
    }
  }

  private List<Pair> readPairs(Shard shard, SampleOrder.Block block) throws IOException {
    try (ShardReader<Pair> reader =
        ShardReader.open(folder.configuration(), folder.pairs(shard), PairFormat.ALL)) {
      if (!shard.identity().equals(reader.identity()) || reader.rows() != shard.rows()) {
        throw new IOException(
            message(
                "Cannot use %s because it was changed: its identity is %s with %s rows, and the manifest says %s with %s. Bring the file back, or ingest anew.",
                folder.pairs(shard),
                reader.identity(),
                reader.rows(),
                shard.identity(),
                shard.rows()));
      }
      return rows(
          reader,
          (group, from, to) -> {
            if (reader.bytes(group) > LARGEST_GROUP) {
              throw new IOException(
                  message(
                      "Cannot read row group %s of %s because it has %s bytes, over %s. Ingest the pairs again, which makes small row groups.",
                      group, folder.pairs(shard), reader.bytes(group), LARGEST_GROUP));
            }
            return reader.readGroup(group, from, to);
          },
          block);
    }
  }

  private <T> List<T> derived(
      String file, RowFormat<T> format, String made, Shard shard, SampleOrder.Block block)
      throws IOException {
    try (ShardReader<T> reader =
        ShardReader.open(folder.configuration(), folder.file(file), format, shard, made)) {
      return rows(reader, reader::readGroup, block);
    }
  }

  private static void checkId(Pair pair, String id, String what, Shard shard) {
    if (!pair.id().equals(id)) {
      throw new IllegalStateException(
          message(
              "Cannot zip the pairs of %s with their %s because the rows differ: the pair is %s and the other %s. Make the %s again.",
              shard.file(), what, pair.id(), id, what));
    }
  }

  private interface GroupReader<T> {
    List<T> read(int group, int from, int to) throws IOException;
  }

  /** The rows of a block, from the row groups that hold them. */
  private static <T> List<T> rows(
      ShardReader<T> file, GroupReader<T> reader, SampleOrder.Block block) throws IOException {
    List<T> rows = new ArrayList<>(block.rows());
    int end = block.start() + block.rows();
    int start = 0;
    for (int group = 0; group < file.rowGroups() && start < end; group++) {
      int groupEnd = start + file.rows(group);
      int low = Math.max(start, block.start());
      int high = Math.min(groupEnd, end);
      if (low < high) {
        rows.addAll(reader.read(group, low - start, high - start));
      }
      start = groupEnd;
    }
    return rows;
  }
}
