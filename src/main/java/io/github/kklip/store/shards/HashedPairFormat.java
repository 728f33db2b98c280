package io.github.kklip.store.shards;

import static io.github.kklip.config.Message.message;

import io.github.kklip.store.HashedPair;
import io.github.kklip.store.Pair;
import io.github.kklip.store.Split;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.parquet.schema.MessageType;

/**
 * Pairs with perceptual hashes, which only datasets without near-duplicates have.
 *
 * @param split of all pairs of the file, for writing; null for reading
 */
public record HashedPairFormat(PairFormat pairs, boolean hashes, Split split)
    implements RowFormat<HashedPair> {
  /** Reads all columns and hashes. */
  public static final HashedPairFormat ALL = new HashedPairFormat(PairFormat.ALL, true, null);

  /** Reads ids and hashes. */
  public static final HashedPairFormat IDS = new HashedPairFormat(PairFormat.IDS, true, null);

  private static final String HASH = "perceptual_hash";
  private static final int SPLIT_COLUMN = 7;

  /** Writes all columns, with hashes or without. */
  static HashedPairFormat of(Split split, boolean hashes) {
    return new HashedPairFormat(PairFormat.ALL, hashes, split);
  }

  /** Whether a file of pairs has perceptual hashes. */
  public static boolean isIn(Configuration configuration, Path file) throws IOException {
    try (RowGroupReader reader = RowGroupReader.open(configuration, file)) {
      return reader.schema().containsField(HASH);
    }
  }

  @Override
  public MessageType schema() {
    MessageType all = split == null ? pairs.schema() : pairs.schema().union(PairFormat.SPLIT);
    return hashes ? all.union(PairFormat.HASH) : all;
  }

  @Override
  public Set<String> repeated() {
    return Set.of("image");
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
    cells.text(SPLIT_COLUMN, split.keyword());
    if (hashes) {
      cells.longInteger(SPLIT_COLUMN + 1, row.hash());
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
