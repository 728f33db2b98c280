package io.github.kklip.store.shards;

import static io.github.kklip.config.Message.message;

import io.github.kklip.store.HashedPair;
import io.github.kklip.store.Pair;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.parquet.schema.MessageType;

/** Pairs with perceptual hashes, which only datasets without near-duplicates have. */
public enum HashedPairFormat implements RowFormat<HashedPair> {
  ALL(PairFormat.ALL, true),
  IDS(PairFormat.IDS, true),
  /** Writes no hashes. */
  WITHOUT_HASHES(PairFormat.ALL, false);

  private static final String HASH = "perceptual_hash";

  private final PairFormat pairs;
  private final boolean hashes;

  HashedPairFormat(PairFormat pairs, boolean hashes) {
    this.pairs = pairs;
    this.hashes = hashes;
  }

  /** Whether a file of pairs has perceptual hashes. */
  public static boolean isIn(Configuration configuration, Path file) throws IOException {
    try (RowGroupReader reader = RowGroupReader.open(configuration, file)) {
      return reader.schema().containsField(HASH);
    }
  }

  @Override
  public MessageType schema() {
    return hashes ? pairs.schema().union(PairFormat.HASH) : pairs.schema();
  }

  @Override
  public HashedPairFormat in(RowGroupReader file) throws IOException {
    pairs.in(file);
    if (!file.schema().containsField(HASH)) {
      throw new IOException(
          message(
              "Cannot compare images with those of %s because it has no perceptual hashes.",
              file.path()));
    }
    return this;
  }

  @Override
  public long bytes(HashedPair row) {
    return pairs.bytes(row.pair());
  }

  @Override
  public void write(HashedPair row, RowGroupWriter cells) {
    pairs.write(row.pair(), cells);
    if (hashes) {
      cells.longInteger(7, row.hash());
    }
  }

  @Override
  public List<HashedPair> read(RowGroupReader.Columns columns) throws IOException {
    List<Pair> read = pairs.read(columns);
    List<Long> hash = columns.longs(HASH);
    List<HashedPair> rows = new ArrayList<>(read.size());
    for (int i = 0; i < read.size(); i++) {
      rows.add(new HashedPair(read.get(i), hash.get(i)));
    }
    return rows;
  }

  @Override
  public String id(HashedPair row) {
    return row.pair().id();
  }
}
