package io.github.kklip.ingest;

import io.github.kklip.config.IngestSettings;
import io.github.kklip.ingest.sources.Problem;
import io.github.kklip.store.DatasetManifest.SourceCounts;
import io.github.kklip.store.DatasetManifest.Totals;
import io.github.kklip.store.Split;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.broadcast.Broadcast;

/** Counts of candidates, by source, kind and reason. */
final class Tally {
  /** Followed by the prefix of the split. */
  private static final String ROW = "row ";

  private static final String IGNORED = "ignored";

  private final Map<String, Long> counts;

  private Tally(Map<String, Long> counts) {
    this.counts = counts;
  }

  /**
   * What has to be known of one candidate without its image.
   *
   * @param source its index
   * @param key sort key and place in the sources ({@link CandidateIterator})
   * @param accepted whether it is a row, or equal to one
   * @param reason of a reject; empty for what is none
   * @param ignored archive members that are no candidates
   */
  record Fact(
      int source,
      String key,
      boolean accepted,
      String imageId,
      long hash,
      String reason,
      long ignored)
      implements java.io.Serializable {
    /**
     * @param sources the source of each unit
     */
    static Fact of(String key, Candidate candidate, int[] sources) {
      int source = sources[CandidateIterator.unit(key)];
      if (candidate instanceof Candidate.Accepted accepted) {
        return new Fact(source, key, true, accepted.pair().imageId(), accepted.hash(), "", 0);
      }
      return candidate instanceof Candidate.Rejected rejected
          ? new Fact(source, key, false, "", 0, rejected.reject().reason(), 0)
          : new Fact(source, key, false, "", 0, "", ((Candidate.Ignored) candidate).count());
    }

    boolean isRow() {
      return accepted;
    }

    /** The sort key of a row. */
    String row() {
      return key.substring(0, Layout.ROW_KEY_LENGTH);
    }

    /** Place in the sources. */
    String order() {
      return key.substring(key.indexOf('#') + 1);
    }

    /** What decides how it is written. */
    String line(Set<String> gone) {
      return key + " " + reason + (gone.contains(imageId) ? " " + Problem.NEAR_DUPLICATE : "");
    }
  }

  /**
   * @param gone images that are near-duplicates
   */
  static Tally of(JavaRDD<Fact> facts, Broadcast<Set<String>> gone) {
    return new Tally(
        facts.aggregate(
            new HashMap<String, Long>(),
            (counts, fact) -> {
              String kind = kind(fact, gone.value());
              counts.merge(
                  fact.source + "|" + kind, kind.equals(IGNORED) ? fact.ignored : 1L, Long::sum);
              return counts;
            },
            (left, right) -> {
              right.forEach((label, count) -> left.merge(label, count, Long::sum));
              return left;
            }));
  }

  private static String kind(Fact fact, Set<String> gone) {
    if (fact.isRow()) {
      return gone.contains(fact.imageId) ? Problem.NEAR_DUPLICATE : ROW + fact.key.substring(0, 1);
    }
    return fact.reason.isEmpty() ? IGNORED : fact.reason;
  }

  /** Rows of a split, those among them that are there twice or more. */
  long rows(Split split) {
    String kind = "|" + ROW + Layout.prefix(split);
    return counts.entrySet().stream()
        .filter(entry -> entry.getKey().endsWith(kind))
        .mapToLong(Map.Entry::getValue)
        .sum();
  }

  /** Whether the source gave candidates, and all of them are rejects of one reason. */
  boolean isOnly(int source, String reason) {
    return kinds(source + "|").equals(Set.of(reason));
  }

  /** Whether all candidates are rejects of one reason. */
  boolean isOnly(String reason) {
    return kinds("").equals(Set.of(reason));
  }

  private Set<String> kinds(String prefix) {
    return counts.keySet().stream()
        .filter(label -> label.startsWith(prefix))
        .map(label -> label.substring(label.indexOf('|') + 1))
        .filter(kind -> !kind.equals(IGNORED))
        .collect(Collectors.toSet());
  }

  boolean isEmpty(int source) {
    return counts.keySet().stream().noneMatch(label -> label.startsWith(source + "|"));
  }

  private long count(int source, String kind) {
    return counts.getOrDefault(source + "|" + kind, 0L);
  }

  /** Candidates of a source that are rows or equal to one. */
  private long rows(int source) {
    return count(source, ROW + Layout.prefix(Split.TRAIN))
        + count(source, ROW + Layout.prefix(Split.VALIDATION));
  }

  /** All candidates of a source, rejected ones among them. */
  private long input(int source) {
    return counts.entrySet().stream()
        .filter(entry -> entry.getKey().startsWith(source + "|"))
        .filter(entry -> !entry.getKey().endsWith("|" + IGNORED))
        .mapToLong(Map.Entry::getValue)
        .sum();
  }

  /**
   * @param pairs candidates of each source that became rows; the other accepted ones are duplicates
   * @param before what the dataset held before the run
   */
  IngestResult result(
      List<IngestSettings.SourceSettings> sources,
      Map<Integer, Long> pairs,
      String dataset,
      Totals before) {
    SortedMap<String, Long> reasons = new TreeMap<>();
    List<SourceCounts> bySource = new ArrayList<>();
    for (int i = 0; i < sources.size(); i++) {
      IngestSettings.SourceSettings source = sources.get(i);
      long input = input(i);
      long rows = pairs.getOrDefault(i, 0L);
      bySource.add(
          new SourceCounts(
              source.format().name().toLowerCase(Locale.ROOT),
              source.path(),
              source.weight(),
              input,
              rows,
              input - rows,
              count(i, IGNORED)));
      if (rows(i) > rows) {
        reasons.merge(Problem.DUPLICATE, rows(i) - rows, Long::sum);
      }
    }
    counts.forEach(
        (label, count) -> {
          String kind = label.substring(label.indexOf('|') + 1);
          if (!kind.startsWith(ROW) && !kind.equals(IGNORED)) {
            reasons.merge(kind, count, Long::sum);
          }
        });
    long input = bySource.stream().mapToLong(SourceCounts::input).sum();
    long rows = bySource.stream().mapToLong(SourceCounts::pairs).sum();
    long ignored = bySource.stream().mapToLong(SourceCounts::ignored).sum();
    return new IngestResult(input, rows, input - rows, ignored, reasons, bySource, dataset, before);
  }
}
