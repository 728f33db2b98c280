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
import io.github.kklip.store.shards.HashedPairFormat;
import io.github.kklip.store.shards.PairFormat;
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
    int rowGroupRows,
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
    List<String> sorted = new ArrayList<>();
    keys.forEach(sorted::add);
    sorted.sort(null);
    Identity.Rows identity = new Identity.Rows();
    sorted.forEach(key -> identity.add(Layout.id(key)));
    Shard shard = new Shard(split, index, sorted.size(), identity.hexAndReset());
    DatasetFolder folder = new DatasetFolder(root, configuration.get());
    try (ShardReader<Pair> pairs =
        ShardReader.open(configuration.get(), folder.pairs(shard), PairFormat.IDS)) {
      if (pairs.rows() == shard.rows() && shard.identity().equals(pairs.identity())) {
        Path rejects = new Path(folder.rejects(), rejectFile());
        boolean rejected = Storage.of(configuration.get(), rejects).exists(rejects);
        return new WrittenShard(shard, rejected ? rejectFile() : "");
      }
    } catch (IOException e) {
      // Not there, or not whole.
    }
    return new WrittenShard(new Shard(split, index, 0, ""), "");
  }

  private String rejectFile() {
    return String.format(
        Locale.ROOT, "%05d-%s", generation, new Shard(split, index, 0, "").fileName());
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
    private ShardWriter<HashedPair> pairs;
    private ShardWriter<Reject> rejects;

    ShardWriter<HashedPair> pairs() throws IOException {
      if (pairs == null) {
        Path path = folder.pairs(new Shard(split, index, 0, ""));
        pairs =
            new ShardWriter<>(
                configuration.get(),
                path,
                hashes ? HashedPairFormat.ALL : HashedPairFormat.WITHOUT_HASHES,
                rowGroupRows);
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
      long rows = pairs == null ? 0 : pairs.rows();
      String identity = pairs == null ? "" : pairs.commit();
      return new WrittenShard(
          new Shard(split, index, rows, identity), rejects == null ? "" : rejectFile());
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
