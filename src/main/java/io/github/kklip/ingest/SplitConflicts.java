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
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.spark.api.java.JavaPairRDD;
import scala.Tuple2;

/**
 * Images that come in, or are in the dataset, with more than one split, each with the one that
 * keeps it: test wins over validation, and that over train. It depends on nothing else, so not on
 * the order of sources, tasks or runs.
 */
final class SplitConflicts implements Serializable {
  private static final long serialVersionUID = 1L;

  static final SplitConflicts NONE = new SplitConflicts(List.of());

  private static final int SPLITS = Split.values().length;
  private static final int ANY_SPLIT = (1 << SPLITS) - 1;

  private final Map<Split, KnownIds> winners = new HashMap<>();
  private final boolean leaving;

  /**
   * Some of the images that one split keeps.
   *
   * @param packed by {@link KnownIds#pack}
   * @param leaving whether rows that the dataset has are to leave it for these
   */
  private record Won(Split split, byte[] packed, boolean leaving) implements Serializable {}

  private SplitConflicts(List<Won> won) {
    for (Split split : Split.values()) {
      List<byte[]> packed =
          won.stream().filter(one -> one.split == split).map(Won::packed).toList();
      if (!packed.isEmpty()) {
        winners.put(split, new KnownIds(packed));
      }
    }
    leaving = won.stream().anyMatch(Won::leaving);
  }

  /** An image of a source in a split, as a number for {@link #of}. */
  static int comesIn(Split split) {
    return switch (split) {
      case TRAIN -> 1;
      case VALIDATION -> 1 << 1;
      case TEST -> 1 << 2;
    };
  }

  /** The images of a shard, under their ids, for {@link #of}. */
  static Iterator<Tuple2<String, Integer>> areThere(DatasetFolder folder, Shard shard)
      throws IOException {
    Set<String> images = new HashSet<>();
    try (ShardReader<Pair> reader =
        ShardReader.open(folder.configuration(), folder.pairs(shard), PairFormat.IDS)) {
      for (int group = 0; group < reader.rowGroups(); group++) {
        reader.readGroup(group).forEach(pair -> images.add(pair.imageId()));
      }
    }
    return images.stream().map(image -> new Tuple2<>(image, isThere(shard.split()))).iterator();
  }

  private static int isThere(Split split) {
    return comesIn(split) | comesIn(split) << SPLITS;
  }

  /**
   * Finds them.
   *
   * @param images {@link #comesIn} and {@link #areThere} under the ids of the images
   */
  static SplitConflicts of(JavaPairRDD<String, Integer> images) {
    return new SplitConflicts(
        images
            .reduceByKey((left, right) -> left | right)
            .filter(image -> Integer.bitCount(image._2 & ANY_SPLIT) > 1)
            .mapPartitions(SplitConflicts::won)
            .collect());
  }

  private static Split winner(int in) {
    Split winner = Split.TRAIN;
    for (Split split : Split.values()) {
      winner = (in & comesIn(split)) == 0 ? winner : split;
    }
    return winner;
  }

  private static Iterator<Won> won(Iterator<Tuple2<String, Integer>> images) {
    Map<Split, List<String>> ids = new HashMap<>();
    Map<Split, Boolean> leaving = new HashMap<>();
    while (images.hasNext()) {
      Tuple2<String, Integer> image = images.next();
      int in = image._2 & ANY_SPLIT;
      int there = image._2 >> SPLITS;
      Split winner = winner(in);
      ids.computeIfAbsent(winner, any -> new ArrayList<>()).add(image._1);
      leaving.merge(winner, (there & ~comesIn(winner)) != 0, Boolean::logicalOr);
    }
    List<Won> won = new ArrayList<>();
    ids.forEach((split, of) -> won.add(new Won(split, KnownIds.pack(of), leaving.get(split))));
    return won.iterator();
  }

  /** The split that keeps an image; null for an image that is in one alone. */
  Split winner(String imageId) {
    for (Map.Entry<Split, KnownIds> split : winners.entrySet()) {
      if (split.getValue().contains(imageId)) {
        return split.getKey();
      }
    }
    return null;
  }

  /** Whether rows of the dataset are to leave it. */
  boolean leaving() {
    return leaving;
  }
}
