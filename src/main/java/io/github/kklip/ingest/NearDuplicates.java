package io.github.kklip.ingest;

import io.github.kklip.store.Split;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.spark.api.java.JavaPairRDD;
import scala.Tuple2;

/**
 * Images that look like an earlier one, of the same run or of the dataset. Of equal hashes only the
 * first image stays; then hashes are cut into one band more than the bits that may differ, so that
 * two hashes that are near enough agree in a whole band, and only those are compared. An image goes
 * when any earlier one is near, so what goes does not depend on the order of the work.
 */
final class NearDuplicates {
  private NearDuplicates() {}

  /**
   * An image by its place in the sources, the earlier the smaller; those of the dataset and of the
   * test split come before all and stay.
   */
  record Seen(String order, String imageId, long hash) implements java.io.Serializable {
    static Seen staying(String imageId, long hash) {
      return new Seen("", imageId, hash);
    }

    static Seen of(Tally.Fact fact) {
      return fact.split() == Split.TEST
          ? staying(fact.imageId(), fact.hash())
          : new Seen(fact.order(), fact.imageId(), fact.hash());
    }

    boolean stays() {
      return order.isEmpty();
    }
  }

  /**
   * The ids of the images that go.
   *
   * @param images each image once, under its id
   */
  static Set<String> of(JavaPairRDD<String, Seen> images, int bits) {
    JavaPairRDD<Long, Iterable<Seen>> byHash =
        images.values().mapToPair(seen -> new Tuple2<>(seen.hash, seen)).groupByKey();
    List<String> same = byHash.values().flatMap(all -> later(all).iterator()).collect();
    Set<String> gone = new HashSet<>(same);
    if (bits > 0) {
      gone.addAll(
          byHash
              .values()
              .map(NearDuplicates::first)
              .flatMapToPair(seen -> bands(seen, bits).iterator())
              .groupByKey()
              .values()
              .flatMap(group -> near(group, bits).iterator())
              .distinct()
              .collect());
    }
    return gone;
  }

  private static Seen first(Iterable<Seen> all) {
    Seen first = null;
    for (Seen seen : all) {
      if (first == null || seen.order.compareTo(first.order) < 0) {
        first = seen;
      }
    }
    return first;
  }

  private static List<String> later(Iterable<Seen> all) {
    Seen first = first(all);
    List<String> later = new ArrayList<>();
    all.forEach(
        seen -> {
          if (!seen.stays() && !seen.imageId.equals(first.imageId)) {
            later.add(seen.imageId);
          }
        });
    return later;
  }

  private static List<Tuple2<String, Seen>> bands(Seen seen, int bits) {
    List<Tuple2<String, Seen>> bands = new ArrayList<>();
    int count = bits + 1;
    for (int band = 0; band < count; band++) {
      int from = Long.SIZE * band / count;
      int width = Long.SIZE * (band + 1) / count - from;
      long part = seen.hash >>> from & ((1L << width) - 1);
      bands.add(new Tuple2<>(band + ":" + part, seen));
    }
    return bands;
  }

  private static List<String> near(Iterable<Seen> group, int bits) {
    List<Seen> all = new ArrayList<>();
    group.forEach(all::add);
    List<String> near = new ArrayList<>();
    for (Seen one : all) {
      if (one.stays()) {
        continue;
      }
      for (Seen other : all) {
        if (other.order.compareTo(one.order) < 0 && Long.bitCount(one.hash ^ other.hash) <= bits) {
          near.add(one.imageId);
          break;
        }
      }
    }
    return near;
  }
}
