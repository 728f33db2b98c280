package io.github.kklip.ingest;

import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.Pair;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Split;
import io.github.kklip.store.shards.PairFormat;
import io.github.kklip.store.shards.ShardReader;
import java.io.IOException;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/** The ids of the rows that a dataset has already, by their splits. */
final class KnownRows implements Serializable {
  private static final long serialVersionUID = 1L;

  private static final Split[] SPLITS = Split.values();

  private final Map<Split, KnownIds> ids = new EnumMap<>(Split.class);
  private final boolean bySources;

  /**
   * Those of one shard.
   *
   * @param packed by {@link KnownIds#pack}
   * @param bySources whether an image is in another split than its hash gives: then a source has
   *     set it
   */
  record OfShard(Split split, byte[] packed, boolean bySources) implements Serializable {
    static OfShard read(DatasetFolder folder, Shard shard, double fraction) throws IOException {
      List<String> ids = new ArrayList<>();
      boolean bySources = false;
      try (ShardReader<Pair> reader =
          ShardReader.open(folder.configuration(), folder.pairs(shard), PairFormat.IDS)) {
        for (int group = 0; group < reader.rowGroups(); group++) {
          for (Pair pair : reader.readGroup(group)) {
            ids.add(pair.id());
            bySources |= Layout.split(pair.imageId(), fraction) != shard.split();
          }
        }
      }
      return new OfShard(shard.split(), KnownIds.pack(ids), bySources);
    }
  }

  KnownRows(List<OfShard> shards) {
    for (Split split : SPLITS) {
      ids.put(
          split,
          new KnownIds(
              shards.stream().filter(one -> one.split == split).map(OfShard::packed).toList()));
    }
    bySources = shards.stream().anyMatch(OfShard::bySources);
  }

  /** The split of a row; null when there is no such row. */
  Split split(String id) {
    // Asked for every caption that is read.
    for (Split split : SPLITS) {
      if (ids.get(split).contains(id)) {
        return split;
      }
    }
    return null;
  }

  /** Whether a source has ever set the split of a row, so far as that can be told. */
  boolean bySources() {
    return bySources;
  }
}
