package io.github.kklip.concept;

import io.github.kklip.kmeans.NearestRows.Place;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
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
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.spark.api.java.JavaSparkContext;

/** Looks up the captions of the rows that stand for the concepts. */
final class ConceptCaptions {
  /** Captions that are shown of a concept, no two of them equal. */
  private static final int SHOWN = 8;

  private ConceptCaptions() {}

  /** The rows that are wanted of one shard. */
  private record Wanted(Shard shard, TreeSet<Integer> rows) implements Serializable {}

  private record FoundCaptions(int shard, int row, String caption) implements Serializable {}

  /** For each concept the captions of its members, nearest first. */
  static List<List<String>> of(
      JavaSparkContext spark,
      VectorSource source,
      DatasetManifest dataset,
      List<List<Place>> members) {
    Map<Integer, TreeSet<Integer>> rows = new TreeMap<>();
    for (List<Place> concept : members) {
      for (Place member : concept) {
        rows.computeIfAbsent(member.shard(), shard -> new TreeSet<>()).add(member.row());
      }
    }
    List<Wanted> wanted = new ArrayList<>();
    for (Shard shard : dataset.shards(Split.TRAIN)) {
      if (rows.containsKey(shard.index())) {
        wanted.add(new Wanted(shard, rows.get(shard.index())));
      }
    }
    Map<Long, String> captions = new HashMap<>();
    spark
        .parallelize(wanted, wanted.size())
        .flatMap(shard -> read(source, shard).iterator())
        .collect()
        .forEach(found -> captions.put(key(found.shard, found.row), found.caption));
    return members.stream().map(concept -> distinct(concept, captions)).toList();
  }

  private static List<String> distinct(List<Place> members, Map<Long, String> captions) {
    Set<String> seen = new HashSet<>();
    return members.stream()
        .map(member -> captions.get(key(member.shard(), member.row())))
        .filter(seen::add)
        .limit(SHOWN)
        .toList();
  }

  private static long key(int shard, int row) {
    return ((long) shard << 32) | row;
  }

  private static List<FoundCaptions> read(VectorSource source, Wanted wanted) throws IOException {
    DatasetFolder folder = source.folder();
    List<FoundCaptions> found = new ArrayList<>();
    try (ShardReader<Pair> pairs =
        ShardReader.open(folder.configuration(), folder.pairs(wanted.shard), PairFormat.CAPTIONS)) {
      int first = 0;
      for (int group = 0; group < pairs.rowGroups(); group++) {
        int end = first + pairs.rows(group);
        Set<Integer> rows = wanted.rows.subSet(first, end);
        if (!rows.isEmpty()) {
          List<Pair> read = pairs.readGroup(group);
          for (int row : rows) {
            found.add(
                new FoundCaptions(wanted.shard.index(), row, read.get(row - first).caption()));
          }
        }
        first = end;
      }
    }
    return found;
  }
}
