package io.github.kklip.ingest;

import io.github.kklip.ingest.sources.Problem;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.HashedPair;
import io.github.kklip.store.Reject;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Split;
import io.github.kklip.store.publication.Digests;
import io.github.kklip.store.publication.PortableConfiguration;
import io.github.kklip.store.shards.PairWriter;
import io.github.kklip.store.shards.RejectFormat;
import io.github.kklip.store.shards.ShardWriter;
import java.io.Closeable;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import org.apache.hadoop.fs.Path;
import scala.Tuple2;

/**
 * Writes one shard of pairs and the rejects that came with it, from candidates in the order of
 * their keys. Files without rows are not made.
 */
record ShardTask(
    PortableConfiguration configuration,
    String root,
    String pairsFolder,
    int generation,
    Split split,
    int index,
    int rowGroupImages,
    boolean hashes)
    implements Serializable {

  /**
   * @param shard without rows when there are only rejects
   * @param rejectFile inside the dataset's folder; empty when there is none
   */
  record WrittenShard(Shard shard, String rejectFile) {
    /** Whether all files are there, and are what their names say. */
    boolean isWhole(DatasetFolder folder) throws IOException {
      List<String> files = new ArrayList<>();
      if (shard.rows() > 0) {
        files.add(shard.file());
      }
      if (!rejectFile.isEmpty()) {
        files.add(rejectFile);
      }
      try {
        for (String file : files) {
          if (!Digests.isInName(folder.configuration(), folder.file(file))) {
            return false;
          }
        }
        return true;
      } catch (FileNotFoundException e) {
        return false;
      }
    }
  }

  /**
   * Writes the shard.
   *
   * @param exclusions rows that do not become part of their split
   */
  WrittenShard write(Iterator<Tuple2<String, byte[]>> candidates, Exclusions exclusions)
      throws IOException {
    try (ShardOutput output = new ShardOutput()) {
      String lastRow = "";
      int repeats = 0;
      while (candidates.hasNext()) {
        Tuple2<String, byte[]> keyed = candidates.next();
        Candidate candidate = Candidate.decode(keyed._2);
        if (candidate instanceof Candidate.Rejected rejected) {
          output.reject(rejected.reject());
        } else if (candidate instanceof Candidate.Accepted accepted) {
          String row = keyed._1.substring(0, Layout.ROW_KEY_LENGTH);
          // Not that of the shard: rejects of a split without shards are in another's part.
          Split own = Layout.split(row);
          Problem problem = exclusions.of(own, accepted.pair().imageId());
          repeats = row.equals(lastRow) ? repeats + 1 : 0;
          if (problem != null) {
            output.reject(accepted.excluded(problem));
          } else if (repeats == 0) {
            output.pairs().write(new HashedPair(accepted.pair(), accepted.hash()));
          } else if (own == Split.TEST) {
            output.pairs().write(new HashedPair(accepted.repeated(repeats), accepted.hash()));
          } else {
            output.reject(accepted.duplicate());
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
        Path path = folder.file(pairsFolder + "/" + Shard.stem(split, index) + ".parquet");
        pairs = new PairWriter(configuration.get(), path, split, hashes, rowGroupImages);
      }
      return pairs;
    }

    void reject(Reject reject) throws IOException {
      if (rejects == null) {
        rejects =
            new ShardWriter<>(
                configuration.get(),
                folder.file(
                    String.format(
                        Locale.ROOT,
                        "rejects/%05d-%s.parquet",
                        generation,
                        Shard.stem(split, index))),
                new RejectFormat(),
                RejectFormat.ROWS_PER_GROUP);
      }
      rejects.write(reject);
    }

    WrittenShard commit() throws IOException {
      String rejectFile = rejects == null ? "" : folder.inside(rejects.commit().file());
      if (pairs == null) {
        return new WrittenShard(new Shard(split, index, 0, "", "", ""), rejectFile);
      }
      ShardWriter.Written written = pairs.commit();
      String file = folder.inside(written.file());
      return new WrittenShard(
          new Shard(split, index, pairs.rows(), written.identity(), file, pairs.blocks()),
          rejectFile);
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
