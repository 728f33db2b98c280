package io.github.kklip.ingest;

import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.HashedPair;
import io.github.kklip.store.Identity;
import io.github.kklip.store.Pair;
import io.github.kklip.store.Reject;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Split;
import io.github.kklip.store.publication.PortableConfiguration;
import io.github.kklip.store.publication.Storage;
import io.github.kklip.store.shards.PairFormat;
import io.github.kklip.store.shards.PairWriter;
import io.github.kklip.store.shards.RejectFormat;
import io.github.kklip.store.shards.ShardReader;
import io.github.kklip.store.shards.ShardWriter;
import java.io.Closeable;
import java.io.IOException;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.apache.hadoop.fs.Path;
import scala.Tuple2;

/**
 * Writes one shard of pairs and the rejects that came with it, from candidates in the order of
 * their keys. Files without rows are not made.
 */
record ShardTask(
    PortableConfiguration configuration,
    String root,
    int generation,
    Split split,
    int index,
    int rowGroupImages,
    boolean hashes)
    implements Serializable {

  /**
   * @param rejectFile name inside rejects/; empty when there is none
   */
  record WrittenShard(Shard shard, String rejectFile) {}

  /**
   * What an interrupted run wrote of this shard: it publishes the rejects before the pairs.
   *
   * @param keys of the rows that the shard must have
   * @return without rows when it has to be written
   */
  WrittenShard written(Iterable<String> keys) throws IOException {
    List<String> wanted = new ArrayList<>();
    keys.forEach(key -> wanted.add(Layout.id(key)));
    DatasetFolder folder = new DatasetFolder(root, configuration.get());
    try (ShardReader<Pair> pairs =
        ShardReader.open(configuration.get(), folder.pairs(unwritten()), PairFormat.IDS)) {
      Identity.Rows identity = new Identity.Rows();
      List<String> found = new ArrayList<>();
      for (int group = 0; group < pairs.rowGroups(); group++) {
        pairs.readGroup(group).forEach(pair -> found.add(pair.id()));
      }
      found.forEach(identity::add);
      // The order of the rows depends on the sizes of the images, which keys do not tell.
      found.sort(null);
      wanted.sort(null);
      if (found.equals(wanted) && identity.hexAndReset().equals(pairs.identity())) {
        Path rejects = new Path(folder.rejects(), rejectFile());
        boolean rejected = Storage.of(configuration.get(), rejects).exists(rejects);
        return new WrittenShard(
            shard(found.size(), pairs.identity(), pairs.blocks()), rejected ? rejectFile() : "");
      }
    } catch (IOException e) {
      // Not there, or not whole.
    }
    return new WrittenShard(unwritten(), "");
  }

  private Shard unwritten() {
    return new Shard(split, index, 0, "");
  }

  private Shard shard(long rows, String identity, String blocks) {
    return new Shard(split, index, rows, identity, unwritten().file(), blocks);
  }

  private String rejectFile() {
    return String.format(Locale.ROOT, "%05d-%s", generation, unwritten().fileName());
  }

  /**
   * Writes the shard.
   *
   * @param gone images that are near-duplicates
   */
  WrittenShard write(Iterator<Tuple2<String, byte[]>> candidates, Set<String> gone)
      throws IOException {
    try (ShardOutput output = new ShardOutput()) {
      String lastRow = "";
      while (candidates.hasNext()) {
        Tuple2<String, byte[]> keyed = candidates.next();
        Candidate candidate = Candidate.decode(keyed._2);
        if (candidate instanceof Candidate.Rejected rejected) {
          output.reject(rejected.reject());
        } else if (candidate instanceof Candidate.Accepted accepted) {
          String row = keyed._1.substring(0, Layout.ROW_KEY_LENGTH);
          if (gone.contains(accepted.pair().imageId())) {
            output.reject(accepted.nearDuplicate());
          } else if (row.equals(lastRow)) {
            output.reject(accepted.duplicate());
          } else {
            output.pairs().write(new HashedPair(accepted.pair(), accepted.hash()));
          }
          lastRow = row;
        }
      }
      return output.commit();
    }
  }

  private final class ShardOutput implements Closeable {
    private final DatasetFolder folder = new DatasetFolder(root, configuration.get());
    private PairWriter pairs;
    private ShardWriter<Reject> rejects;

    PairWriter pairs() throws IOException {
      if (pairs == null) {
        pairs =
            new PairWriter(
                configuration.get(), folder.pairs(unwritten()), split, hashes, rowGroupImages);
      }
      return pairs;
    }

    void reject(Reject reject) throws IOException {
      if (rejects == null) {
        rejects =
            new ShardWriter<>(
                configuration.get(),
                new Path(folder.rejects(), rejectFile()),
                new RejectFormat(),
                RejectFormat.ROWS_PER_GROUP);
      }
      rejects.write(reject);
    }

    WrittenShard commit() throws IOException {
      if (rejects != null) {
        rejects.commit();
      }
      Shard shard = unwritten();
      if (pairs != null) {
        String identity = pairs.commit();
        shard = shard(pairs.rows(), identity, pairs.blocks());
      }
      return new WrittenShard(shard, rejects == null ? "" : rejectFile());
    }

    @Override
    public void close() throws IOException {
      try {
        if (pairs != null) {
          pairs.close();
        }
      } finally {
        if (rejects != null) {
          rejects.close();
        }
      }
    }
  }
}
