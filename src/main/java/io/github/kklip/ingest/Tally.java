package io.github.kklip.ingest;

import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.spark.api.java.JavaRDD;
import scala.Tuple2;

/**
 * Counts of candidates. A fact is what has to be known of one candidate without its image: kind,
 * source and then row key, reason or number, as a text, which every Spark serializer carries.
 */
final class Tally {
  private static final String ROW = "row";
  private static final String REJECT = "reject";
  private static final String IGNORED = "ignored";

  private final Map<String, Long> counts;

  private Tally(Map<String, Long> counts) {
    this.counts = counts;
  }

  /**
   * @param key sort key and order of the candidate ({@link CandidateIterator})
   * @param sources the source of each unit
   */
  static String fact(String key, Candidate candidate, int[] sources) {
    int source = sources[CandidateIterator.unit(key)];
    if (candidate instanceof Candidate.Accepted) {
      return ROW + "|" + source + "|" + key.substring(0, Layout.ROW_KEY_LENGTH);
    }
    return candidate instanceof Candidate.Rejected rejected
        ? REJECT + "|" + source + "|" + rejected.reject().reason()
        : IGNORED + "|" + source + "|" + ((Candidate.Ignored) candidate).count();
  }

  static boolean isRow(String fact) {
    return fact.startsWith(ROW + "|");
  }

  /** The sort key of a row. */
  static String rowKey(String fact) {
    return fact.substring(fact.lastIndexOf('|') + 1);
  }

  static Tally of(JavaRDD<String> facts) {
    return new Tally(facts.mapToPair(Tally::count).reduceByKey(Long::sum).collectAsMap());
  }

  private static Tuple2<String, Long> count(String fact) {
    int last = fact.lastIndexOf('|');
    String kind = fact.substring(0, fact.indexOf('|'));
    return switch (kind) {
      case ROW -> new Tuple2<>(fact.substring(0, last), 1L);
      case IGNORED ->
          new Tuple2<>(fact.substring(0, last), Long.parseLong(fact.substring(last + 1)));
      default -> new Tuple2<>(fact, 1L);
    };
  }

  boolean isEmpty(int source) {
    return counts.keySet().stream()
        .noneMatch(label -> label.split("\\|", -1)[1].equals("" + source));
  }

  /**
   * @param pairs candidates that became rows; the other accepted ones are duplicates of these
   */
  IngestResult result(long pairs, String dataset) {
    long input = 0;
    long ignored = 0;
    long duplicates = -pairs;
    SortedMap<String, Long> reasons = new TreeMap<>();
    for (Map.Entry<String, Long> entry : counts.entrySet()) {
      String[] label = entry.getKey().split("\\|", -1);
      long count = entry.getValue();
      switch (label[0]) {
        case ROW -> duplicates += count;
        case REJECT -> reasons.merge(label[2], count, Long::sum);
        default -> ignored += count;
      }
      input += label[0].equals(IGNORED) ? 0 : count;
    }
    if (duplicates > 0) {
      reasons.merge(Problem.DUPLICATE, duplicates, Long::sum);
    }
    return new IngestResult(input, pairs, input - pairs, ignored, reasons, dataset);
  }
}
