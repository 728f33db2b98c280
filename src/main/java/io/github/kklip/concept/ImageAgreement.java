package io.github.kklip.concept;

import io.github.kklip.kmeans.Centres;
import io.github.kklip.kmeans.Distances;
import io.github.kklip.kmeans.VectorBlock;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.Pair;
import io.github.kklip.store.Shard;
import io.github.kklip.store.shards.PairFormat;
import io.github.kklip.store.shards.ShardReader;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.spark.api.java.JavaSparkContext;
import scala.Tuple2;

/**
 * How often two captions of one image have the same first concept: a check from outside, as the
 * teacher knows nothing of images.
 *
 * @param pairs of training captions of the same image
 * @param same share of them with the same nearest centre
 * @param chance that share for any two captions: the sum of the squared shares of the concepts
 */
record ImageAgreement(long pairs, double same, double chance) {

  static ImageAgreement of(
      JavaSparkContext spark,
      VectorSource source,
      List<Shard> train,
      Centres centres,
      List<Long> sizes,
      int threads) {
    Tuple2<Long, Long> counted =
        spark
            .parallelize(train, train.size())
            .flatMapToPair(shard -> concepts(source, shard, centres, threads).iterator())
            .groupByKey()
            .values()
            .map(ImageAgreement::count)
            .fold(
                new Tuple2<>(0L, 0L),
                (left, right) -> new Tuple2<>(left._1 + right._1, left._2 + right._2));
    double rows = sizes.stream().mapToLong(Long::longValue).sum();
    double chance = sizes.stream().mapToDouble(size -> size / rows * (size / rows)).sum();
    double same = counted._1 == 0 ? 0 : (double) counted._2 / counted._1;
    return new ImageAgreement(counted._1, same, chance);
  }

  private static List<Tuple2<String, Integer>> concepts(
      VectorSource source, Shard shard, Centres centres, int threads) throws IOException {
    DatasetFolder folder = source.folder();
    List<Tuple2<String, Integer>> concepts = new ArrayList<>();
    try (ShardReader<Pair> pairs =
            ShardReader.open(folder.configuration(), folder.pairs(shard), PairFormat.IDS);
        Distances distances =
            new Distances(centres, SparkRows.threads(threads), SparkRows.device())) {
      List<String> images = new ArrayList<>();
      for (int group = 0; group < pairs.rowGroups(); group++) {
        pairs.readGroup(group).stream().map(Pair::imageId).forEach(images::add);
      }
      for (VectorBlock block : source.blocks(shard)) {
        for (int concept : distances.nearest(block).centres()) {
          concepts.add(new Tuple2<>(images.get(concepts.size()), concept));
        }
      }
    }
    return concepts;
  }

  /** Pairs of captions of one image, and those of them with the same concept. */
  private static Tuple2<Long, Long> count(Iterable<Integer> concepts) {
    Map<Integer, Long> counts = new HashMap<>();
    concepts.forEach(concept -> counts.merge(concept, 1L, Long::sum));
    long all = counts.values().stream().mapToLong(Long::longValue).sum();
    long same = counts.values().stream().mapToLong(n -> n * (n - 1) / 2).sum();
    return new Tuple2<>(all * (all - 1) / 2, same);
  }
}
